#pragma once

#include <memory>
#include <string>

#include "engine/engine.h"
#include "engine/text/tokenizer.h"

namespace longship {

/// longship eval --text. The tokens of the text are cut into chunks of `context` tokens (a shorter rest is left out).
/// Each chunk is run by itself, its first token replaced by what the tokenizer puts before a text; its tokens at
/// positions context/2 + 1 .. context - 1 are scored, each with at least context/2 tokens before it (as llama.cpp
/// does).
struct PerplexityTask {
  std::shared_ptr<const Tokenizer> tokenizer;
  std::string text;
  int64_t context = 512;
  int64_t max_in_flight = 16;
};

struct Perplexity {
  double value = 0;
  double error = 0;  ///< Standard error, from the spread of -ln p over the scored tokens.
  int64_t scored = 0;
  int64_t chunks = 0;
};

/// Errors: kUsage if the text is shorter than a chunk.
Perplexity measure_perplexity(const PerplexityTask& task, Engine& engine);

}  // namespace longship
