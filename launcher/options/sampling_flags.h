#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace longship {

/// How the user wants text to be generated.
struct SamplingFlags {
  SamplingParams params;  ///< All but the seed.
  std::optional<uint64_t> seed;
  bool greedy = false;
  std::vector<std::string> stops;
  GrammarSpec grammar;      ///< What an answer must be.
  int64_t max_tokens = -1;  ///< -1: until the model ends or the context is full.

  SamplingFlags();
  /// With a seed drawn now if none was given.
  SamplingParams resolved() const;
};

}  // namespace longship
