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

/// The part that each rank has of a vocabulary, and what it tells the others of it: a message of candidates [count,
/// most], then sums [count, blocks], in words of eight bytes.
struct ShardArguments {
  const float* logits = nullptr;     ///< [R, vocab]
  int vocab = 0;                     ///< Of this rank ...
  int first = 0;                     ///< ... from this token on.
  const TokenDraw* draws = nullptr;  ///< [count]
  int count = 0;
  int segments = 0;                  ///< Of this rank's part: draw_segments().
  const uint64_t* firsts = nullptr;  ///< [count, segments]
  int most = 0;                      ///< Candidates that a draw looks at, at most.
  int blocks = 0;                    ///< Of kSumTokens, of the longest part; 0: no draw needs sums.
  uint64_t* candidates = nullptr;    ///< [count, most]: the beginning of the message.

  int64_t message_words() const { return static_cast<int64_t>(count) * (most + blocks); }
};

/// Messages of all ranks.
struct MergeArguments {
  const TokenDraw* draws = nullptr;    ///< [count]
  const uint64_t* messages = nullptr;  ///< [ranks, message words]
  int64_t message_words = 0;
  int ranks = 0;
  int count = 0;
  int most = 0;               ///< As in ShardArguments.
  int blocks = 0;             ///< As in ShardArguments.
  int32_t* tokens = nullptr;  ///< [count]
};

/// First candidates of segments, and sums of blocks: the same of the rows of one rank's part.
void launch_firsts_and_sums(const DrawArguments& arguments, bool with_sums, StreamHandle stream);
/// This rank's candidates into its message.
void launch_shard_candidates(const ShardArguments& arguments, StreamHandle stream);
/// The choices from what all ranks have found.
void launch_merge(const MergeArguments& arguments, StreamHandle stream);

/// See Kernels::draw_tokens. `sums`: whether a draw needs the sum over its row.
void launch_draw(const DrawArguments& arguments, bool sums, StreamHandle stream);
/// Whether one does: probabilities are parts of the sum over the whole row, not of one over few candidates.
bool needs_sums(std::span<const TokenDraw> draws);

}  // namespace longship::cuda
