#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/json.h"
#include "engine/engine.h"
#include "engine/text/tokenizer.h"

namespace longship {

/// A token of an answer with what is told of its probability.
struct TokenRow {
  int32_t token = 0;
  std::optional<float> logprob{};   ///< The first token of a prompt has none.
  std::vector<TokenLogprob> top{};  ///< The most probable first.
  int64_t text_offset = 0;          ///< Characters of the choice's text before it.
};

/// Logprobs in the shapes of the API. Immutable; any thread may use it.
class LogprobsJson {
 public:
  /// `tokens_as_ids`: a token is called "token_id:17" instead of by its text, which several tokens may share.
  LogprobsJson(std::shared_ptr<const Tokenizer> tokenizer, bool tokens_as_ids)
      : tokenizer_(std::move(tokenizer)), tokens_as_ids_(tokens_as_ids) {}

  /// {content: [{token, logprob, bytes, top_logprobs}], refusal}; null without rows.
  Json of_chat(std::span<const TokenRow> rows) const;
  /// {tokens, token_logprobs, top_logprobs, text_offset}; null without rows.
  Json of_text(std::span<const TokenRow> rows) const;
  /// Of a prompt: null for its first token, then an object of token ids, the prompt's own first, with {logprob, rank,
  /// decoded_token}.
  Json of_prompt(std::span<const int32_t> prompt, std::span<const PositionLogprobs> positions) const;

 private:
  std::string name(int32_t token) const;
  Json entry(int32_t token, float logprob) const;
  Json top_of_text(const TokenRow& row) const;
  Json ranked(int32_t token, float logprob, int64_t rank) const;

  std::shared_ptr<const Tokenizer> tokenizer_;
  bool tokens_as_ids_;
};

}  // namespace longship
