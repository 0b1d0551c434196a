#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/json.h"
#include "engine/engine.h"
#include "engine/text/tokenizer.h"

namespace longship {

/// A token of an answer with what is told of its probability.
struct TokenRow {
  int32_t token = 0;
  float logprob = 0;
  std::vector<TokenLogprob> top{};  ///< The most probable first.
  int64_t text_offset = 0;          ///< Characters of the choice's text before it.
};

/// Logprobs in the shapes of the API. Immutable; any thread may use it.
class LogprobsJson {
 public:
  explicit LogprobsJson(std::shared_ptr<const Tokenizer> tokenizer) : tokenizer_(std::move(tokenizer)) {}

  /// {content: [{token, logprob, bytes, top_logprobs}], refusal}; null without rows.
  Json of_chat(std::span<const TokenRow> rows) const;
  /// {tokens, token_logprobs, top_logprobs, text_offset}; null without rows.
  Json of_text(std::span<const TokenRow> rows) const;

 private:
  std::string name(int32_t token) const { return tokenizer_->decode({&token, 1}, false); }
  Json entry(int32_t token, float logprob) const;

  std::shared_ptr<const Tokenizer> tokenizer_;
};

}  // namespace longship
