#pragma once

#include <cstdint>

namespace longship {

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

  bool operator==(const EngineStats&) const = default;
};

}  // namespace longship
