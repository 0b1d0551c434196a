#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace longship {

/// How well logits predict a text: sums of -ln p over the tokens at positions first_scored..n-1, each given those
/// before it. Rows may come in several calls.
class PromptScore {
 public:
  PromptScore(std::vector<int32_t> ids, int64_t first_scored, int64_t vocab)
      : ids_(std::move(ids)), first_scored_(first_scored), vocab_(vocab) {}

  /// `logits`: rows of V values from position `first` on; row p predicts the token at p + 1.
  void add(int64_t first, std::span<const float> logits);

  const std::vector<int32_t>& ids() const { return ids_; }
  double sum() const { return sum_; }
  double sum_of_squares() const { return sum_of_squares_; }
  int64_t scored() const { return scored_; }

 private:
  std::vector<int32_t> ids_;
  int64_t first_scored_;
  int64_t vocab_;
  double sum_ = 0;
  double sum_of_squares_ = 0;
  int64_t scored_ = 0;
};

}  // namespace longship
