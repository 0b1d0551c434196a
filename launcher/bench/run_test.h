#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

namespace longship {

/// One row of `longship bench run`: a prompt of `prompt` tokens, or `generate` tokens one after the other, behind
/// `depth` tokens that are in the key/value cache already; of `streams` sequences together.
struct RunTest {
  int64_t prompt = 0;
  int64_t generate = 0;
  int64_t depth = 0;
  int64_t streams = 1;

  /// As llama-bench names it: "pp512", "tg128", "tg128 @ d4096"; of several streams "tg128 x 16", "tg128 x 16 @ d4096".
  std::string name() const;
  /// Of one stream. Streams that begin sooner than others have something to do until all run.
  int64_t most_generated() const { return 1 + generate + (streams > 1 && generate > 0 ? generate + 64 : 0); }
  int64_t context_tokens() const { return depth + std::max<int64_t>(1, prompt) + most_generated(); }
  /// Whose time counts, of all streams.
  int64_t tokens() const { return streams * (prompt + generate); }
};

}  // namespace longship
