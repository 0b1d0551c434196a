#pragma once

#include <cstdint>
#include <vector>

namespace longship {

/// A token and the logarithm of its probability, before penalties and temperature.
struct TokenLogprob {
  int32_t token = 0;
  float logprob = 0;
};

/// What is told of the token at a position.
struct PositionLogprobs {
  float logprob = 0;
  int32_t rank = 1;               ///< Tokens that are at least as probable there; 1: none is more so.
  std::vector<TokenLogprob> top;  ///< The most probable first.
};

}  // namespace longship
