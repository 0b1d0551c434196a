#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/bytes.h"
#include "core/tensor.h"
#include "engine/schedule/rank_report.h"

namespace longship {

/// Consecutive tokens of one sequence in a step.
struct PlanSlice {
  uint64_t sequence = 0;
  uint32_t epoch = 0;  ///< Of the sequence; results of an older epoch are dropped at commit.
  int64_t begin = 0;   ///< Position of the first token.
  int64_t rows = 0;
  int64_t logit_rows = 0;      ///< How many of the last rows want logits.
  std::vector<int32_t> pages;  ///< Page p of the sequence holds positions [64 p, 64 p + 64).
};

/// What every rank executes in one step, in the order published: tokens, or a report instead.
struct StepPlan {
  uint64_t step = 0;
  ReportKind report = ReportKind::kNone;
  std::vector<int32_t> tokens;  ///< Of all slices, one after the other.
  std::vector<PlanSlice> slices;

  int64_t logit_rows() const;
  Bytes serialize() const;
  /// Errors: kRank for a frame that is not a plan.
  static StepPlan parse(std::span<const std::byte> frame);
};

/// What a step gives back. Only the leader has logits.
struct StepResult {
  uint64_t step = 0;
  Tensor logits;  ///< [plan.logit_rows(), V] f32 on the leader, in the order of the slices; empty elsewhere.
  std::vector<RankReport> reports{};  ///< Of all ranks on the leader, if the plan asks for them.
};

}  // namespace longship
