#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"
#include "engine/sample/logprobs.h"
#include "engine/schedule/rank_report.h"

namespace longship {

/// The token that was chosen from a row of logits.
struct RowChoice {
  int32_t token = -1;               ///< -1: nothing may be chosen.
  float logprob = 0;                ///< If asked for.
  std::vector<TokenLogprob> top{};  ///< If asked for: the most probable first.
};

/// What a step gives back. Only the leader learns more than the number.
struct StepResult {
  uint64_t step = 0;
  Tensor rows{};                      ///< [plan.whole_rows(), V] f32, in the order of the slices.
  std::vector<RowChoice> choices{};   ///< One of each sampled row, in the order of the slices.
  std::vector<RankReport> reports{};  ///< Of all ranks, if the plan asks for them.
};

}  // namespace longship
