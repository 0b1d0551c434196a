#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace longship {

/// Sums over logits are made of sums over blocks of so many tokens, counted from token 0, however a vocabulary is cut.
inline constexpr int64_t kSumBlock = 1024;

/// A token that may be chosen.
struct Candidate {
  int32_t token = -1;
  float logit = 0;  ///< Behind the edits.
  float raw = 0;    ///< The model's.
};

/// Who comes first: by logit, the lowest id of equals first.
inline bool before(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

/// The `count` first of the tokens from `first` on whose logits these are, in order. A logit that is -infinity or no
/// number belongs to no candidate, so there may be fewer.
std::vector<Candidate> best_candidates(std::span<const float> logits, std::span<const float> raw, int64_t first,
                                       int64_t count);

/// Of the logits of one block.
struct BlockSum {
  float largest = 0;
  float sum = 0;  ///< Of exp((logit - largest) / temperature), each within some 1e-7 of it, in a fixed order.
};

inline int64_t blocks_of(int64_t tokens) {
  return (tokens + kSumBlock - 1) / kSumBlock;
}

/// One sum for each of blocks_of() blocks; the first logit is that of the first token of a block. What is no number
/// counts as -infinity.
void sum_blocks(std::span<const float> logits, double temperature, std::span<BlockSum> sums);

/// Sum of exp((logit - largest) / temperature) over blocks, in their order.
struct LogitSum {
  double largest = 0;
  double sum = 0;
};
LogitSum add_blocks(std::span<const BlockSum> sums, double temperature);

/// ln of the sum of exp(logits): a token's logprob is its logit less this. In the order of sum_blocks().
double log_sum_exp(std::span<const float> logits);
double log_sum_exp(std::span<const BlockSum> sums);

}  // namespace longship
