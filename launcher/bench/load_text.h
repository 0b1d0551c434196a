#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/text/tokenizer.h"
#include "launcher/bench/api_connection.h"
#include "launcher/bench/serve_load.h"

namespace longship {

/// A model's tokens for making prompts: by a tokenizer that is here, or by what the server offers.
struct LoadText {
  std::function<std::vector<int32_t>(const std::string&)> encode;
  std::function<std::string(std::span<const int32_t>)> decode;
};

LoadText text_of(const std::shared_ptr<const Tokenizer>& tokenizer);
/// By the server's /tokenize and /detokenize, as vLLM, llama.cpp and longship have them. Errors of both functions:
/// kUsage if it has none.
LoadText text_of(const ApiServer& server);

/// Tokens of everyday words, each once: what random prompts are made of.
std::vector<int32_t> usual_tokens(const LoadText& text);

/// How the server is asked.
struct LoadBody {
  std::string model;
  bool chat = false;
  double temperature = 0;
  bool ignore_eos = false;
};

/// The bodies of requests. Chats need `text` where a prompt is of tokens.
std::vector<std::string> load_bodies(const std::vector<LoadRequest>& requests, const LoadBody& how,
                                     const LoadText& text);

}  // namespace longship
