#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace longship {

/// Steps of the model by the tokens of prompts that they ran and those that they generated, in the buckets of vLLM.
struct StepSizes {
  static constexpr std::array<int64_t, 13> kBounds = {1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384};

  /// Those of at most kBounds[i] tokens and more than the bound before; the last: of more than all bounds.
  std::array<int64_t, kBounds.size() + 1> steps{};
  int64_t tokens = 0;  ///< Of all of them.

  void add(int64_t step_tokens) {
    const auto* const bound = std::lower_bound(kBounds.begin(), kBounds.end(), step_tokens);
    ++steps[static_cast<std::size_t>(bound - kBounds.begin())];
    tokens += step_tokens;
  }
  bool operator==(const StepSizes&) const = default;
};

/// What an engine holds now, and what it has done since its start. Plain numbers: a frame carries it as it is.
struct EngineStats {
  int64_t running = 0;  ///< Requests that have pages or get them next.
  int64_t waiting = 0;
  int64_t pages = 0;                 ///< Of the key/value cache.
  int64_t pages_used = 0;            ///< By requests that run; what else they hold is only kept.
  int64_t preemptions = 0;           ///< Requests that lost their pages, to be computed again.
  int64_t prefix_cache_queries = 0;  ///< Tokens of requests that were looked up in the prefix cache ...
  int64_t prefix_cache_hits = 0;     ///< ... and found there.
  int64_t drafts = 0;                ///< Times that tokens were guessed,
  int64_t draft_tokens = 0;          ///< the tokens,
  int64_t accepted_tokens = 0;       ///< and those of them that were right.
  StepSizes steps{};                 ///< Neither guesses that were wrong nor what a draft model runs count.

  bool operator==(const EngineStats&) const = default;
};

}  // namespace longship
