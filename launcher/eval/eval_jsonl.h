#pragma once

#include <filesystem>
#include <istream>
#include <memory>
#include <string>

#include "engine/engine.h"
#include "engine/text/tokenizer.h"

namespace longship {

/// longship eval --jsonl.
struct EvalJsonlTask {
  std::shared_ptr<const Tokenizer> tokenizer;  ///< For lines with text; null if the model has none,
  std::string no_tokenizer;                    ///< for this reason.
  std::shared_ptr<std::istream> input;
  std::filesystem::path logits;  ///< Empty: not wanted.
  int64_t max_in_flight = 16;
};

/// For line k of the input writes line k of standard output: {"nll", "tokens", "greedy"} or {"error"}. `nll` sums
/// -ln p over the positions 1..n-1 of the line's n tokens, `tokens` is n. Ends early, with exit code 0, if nobody
/// reads.
int run_eval_jsonl(const EvalJsonlTask& task, Engine& engine);

}  // namespace longship
