#pragma once

#include <cstdint>
#include <span>

#include "core/stream.h"
#include "core/tensor.h"

namespace longship {

/// How a token is chosen from one row of logits [V], the model's own: the choice that sample/sampler.h makes for a
/// SampledRow of the same numbers, to the bit.
struct TokenDraw {
  double temperature = 0;  ///< Not above 0: the largest logit.
  double top_p = 1;
  double min_p = 0;
  uint64_t seed = 0;
  uint64_t index = 0;
  uint32_t choice = 0;
  int32_t top_k = 0;  ///< Up to kMostCandidates; 0: off.
  int32_t row = 0;    ///< Of the logits.
};

/// First candidates that a device looks at.
inline constexpr int64_t kMostCandidates = 256;
/// In place of a token: the choice is not among the first candidates, and the whole row says which it is ...
inline constexpr int32_t kNotAmongFirst = -2;
/// ... or nothing may be chosen. Not -1, which looks like memory that nobody wrote.
inline constexpr int32_t kNoToken = -3;

/// Tokens that a device chooses, in the order of its stream.
class DrawnTokens {
 public:
  DrawnTokens() = default;
  virtual ~DrawnTokens() = default;
  DrawnTokens(const DrawnTokens&) = delete;
  DrawnTokens& operator=(const DrawnTokens&) = delete;

  /// Returns once they are chosen, whatever was put on the stream since; valid as long as this. Errors: those of
  /// Stream::synchronise().
  virtual std::span<const int32_t> read() = 0;
  /// The first values of `tokens` [n] i32 of the device become the tokens, 0 in place of none. Before the kernels are
  /// asked for others.
  virtual void feed(Tensor& tokens, Stream& stream) = 0;
};

}  // namespace longship
