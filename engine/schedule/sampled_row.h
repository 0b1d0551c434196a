#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/bytes.h"
#include "engine/sample/grammar/token_set.h"

namespace longship {

/// What is done to the logit of a token before the choice, in this order: `bias` is added; what is positive then is
/// divided by `penalty`, what is not is multiplied by it; `minus` is taken off.
struct TokenEdit {
  int32_t token = 0;
  float bias = 0;
  float penalty = 1;
  float minus = 0;

  friend bool operator==(const TokenEdit&, const TokenEdit&) = default;
};

/// How a token is chosen from a row of logits: all that the parts of a vocabulary, and who merges what they say, need
/// to know of the request and of the tokens so far.
struct SampledRow {
  double temperature = 0;  ///< Not above 0: the largest logit.
  int64_t top_k = 0;       ///< 0: off.
  double top_p = 1;
  double min_p = 0;
  uint64_t seed = 0;
  uint32_t choice = 0;
  uint64_t index = 0;                 ///< Of the token among those generated: what its random number is drawn by.
  int64_t logprobs = -1;              ///< As in GenerationRequest.
  std::vector<TokenEdit> edits{};     ///< Of each token at most one.
  std::vector<int32_t> banned{};      ///< Never chosen; ids outside the vocabulary are ignored.
  std::optional<TokenSet> allowed{};  ///< If it is there, only these are chosen.

  /// Whether the choice is made from other logits than the model's.
  bool edited() const { return !edits.empty() || !banned.empty() || allowed.has_value(); }
  void serialize(ByteWriter& out) const;
  /// Errors: kRank.
  static SampledRow parse(ByteReader& in);

  friend bool operator==(const SampledRow&, const SampledRow&) = default;
};

}  // namespace longship
