#pragma once

#include <span>

#include "cuda/api.h"
#include "engine/backend/token_draw.h"

namespace longship::cuda {

/// Tokens of one of the sums of which a sum over logits is made (sample/row_summary.h).
inline constexpr int kSumTokens = 1024;

/// Of the logits of such a block: the largest, and the sum of exp((logit - largest) / temperature).
struct DrawSum {
  float largest = 0;
  float sum = 0;
};

struct DrawArguments {
  const float* logits = nullptr;  ///< [R, vocab]
  int vocab = 0;
  const TokenDraw* draws = nullptr;  ///< [count]
  int count = 0;
  int blocks = 0;              ///< Of kSumTokens of the vocabulary.
  DrawSum* sums = nullptr;     ///< [count, blocks]
  int segments = 0;            ///< Of the vocabulary: draw_segments().
  uint64_t* firsts = nullptr;  ///< [count, segments]
  int32_t* tokens = nullptr;   ///< [count]
};

/// Parts of a row of which the first candidates are found apart.
int draw_segments(int vocab);

/// tokens[i] = drawn[i], 0 in place of no token, for `count` tokens.
void launch_feed(const int32_t* drawn, int count, int32_t* tokens, StreamHandle stream);

/// See Kernels::draw_tokens. `sums`: whether a draw needs the sum over its row.
void launch_draw(const DrawArguments& arguments, bool sums, StreamHandle stream);
/// Whether one does: probabilities are parts of the sum over the whole row, not of one over few candidates.
bool needs_sums(std::span<const TokenDraw> draws);

}  // namespace longship::cuda
