#include "engine/schedule/chunk_size.h"

#include <algorithm>
#include <cmath>

namespace longship {

namespace {

// What a step costs beside its tokens, in tokens: reading the weights, and the messages between stages.
constexpr double kStepTokens = 16;
// Work of a chunk, at least: tokens that the kernels take about as fast each as more of them.
constexpr double kLeastWork = 64;

// Work of the tokens [begin, end), each of which attends to those before it.
double work(double begin, double end, double key_cost) {
  return (end - begin) * (1 + key_cost * (begin + end) / 2);
}

// Tokens from `begin` on whose work this is.
double tokens_of(double amount, double begin, double key_cost) {
  const double first = 1 + key_cost * begin;
  return 2 * amount / (first + std::sqrt(first * first + 2 * key_cost * amount));
}

// Time of an operation of attention, as one of matrix products takes 1.
constexpr double kAttentionOperation = 4;

}  // namespace

PipelineCost pipeline_cost(int stages, const StageCost& stage) {
  return {.stages = stages,
          .key = kAttentionOperation * static_cast<double>(stage.ops_per_key) /
                 static_cast<double>(std::max<int64_t>(1, stage.ops_per_token))};
}

int64_t chunk_tokens(int64_t begin, int64_t end, int64_t most, const PipelineCost& cost) {
  most = std::min(most, end - begin);
  if (cost.stages == 1) {
    return most;
  }
  const auto first = static_cast<double>(begin);
  const auto last = static_cast<double>(end);
  const double whole = work(0, last, cost.key);
  const double best = std::max(kLeastWork, std::sqrt(whole * kStepTokens / (cost.stages - 1)));
  const double left = work(first, last, cost.key);
  const double fewest = std::ceil(left / work(first, first + static_cast<double>(most), cost.key));
  const double chunks = std::max({1.0, fewest, std::round(left / best)});
  return std::clamp<int64_t>(std::llround(tokens_of(left / chunks, first, cost.key)), 1, most);
}

}  // namespace longship
