#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/bytes.h"
#include "engine/schedule/rank_report.h"
#include "engine/schedule/sampled_row.h"

namespace longship {

/// Which model a step runs.
enum class PlanModel : uint8_t { kTarget, kDraft };

/// Consecutive tokens of one sequence in a step.
struct PlanSlice {
  uint64_t sequence = 0;
  uint32_t epoch = 0;  ///< Of the sequence; results of an older epoch are dropped at commit.
  int64_t begin = 0;   ///< Position of the first token.
  int64_t rows = 0;
  int64_t logit_rows = 0;             ///< How many of the last rows want logits.
  int32_t adapter = 0;                ///< Of the sequence, see GenerationRequest; the draft model has none.
  bool with_draft = false;            ///< The draft model runs the rows as well, so that its cache keeps up.
  bool whole_rows = false;            ///< The leader wants these rows themselves.
  std::vector<int32_t> pages{};       ///< Page p of the sequence holds positions [64 p, 64 p + 64).
  std::vector<SampledRow> sampled{};  ///< How tokens are chosen from the last of the rows that want logits.
};

/// What every rank executes in one step, in the order published: tokens, or a report instead.
struct StepPlan {
  uint64_t step = 0;
  ReportKind report = ReportKind::kNone;
  PlanModel model = PlanModel::kTarget;
  std::vector<int32_t> tokens;  ///< Of all slices, one after the other.
  std::vector<PlanSlice> slices;

  int64_t logit_rows() const;
  int64_t whole_rows() const;
  /// The rows of a plan of the target that the draft model runs as well; none of them wants logits.
  StepPlan draft_part() const;
  Bytes serialize() const;
  /// Errors: kRank for a frame that is not a plan.
  static StepPlan parse(std::span<const std::byte> frame);
};

}  // namespace longship
