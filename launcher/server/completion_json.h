#pragma once

#include <string>

#include "core/json.h"

namespace longship {

/// Tokens that a completion has cost.
struct Usage {
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  int64_t cached_tokens = 0;      ///< Of the prompts, that were not run again.
  int64_t reasoning_tokens = -1;  ///< Of the completions, spent on reasoning; -1: the model does not tell.

  Json json() const;
};

/// How an answer ended.
struct Ending {
  std::string finish_reason;  ///< "stop", "length" or "tool_calls"; empty while it goes on.
  Json stop_reason{};         ///< The stop string or the id of stop_token_ids that ended it; null for an end of text.
};

/// Ids of tokens as the answer tells them; null: it does not.
struct TokenIds {
  Json prompt{};
  Json tokens{};
};

/// One answer, complete.
struct ChoiceResult {
  Json said;  ///< The message of a chat, the text of a completion.
  Json logprobs;
  Json prompt_logprobs;  ///< Of a completion; of a chat they stand beside the choices.
  Ending ending;
  TokenIds ids{};  ///< Those of a chat's prompt stand beside the choices.
};

/// The shapes in which the API tells of one completion: whole, or in chunks of a stream. Immutable.
class CompletionJson {
 public:
  /// `fingerprint`: of the program that answers; a mesh changes no answer, so it is no part of it.
  CompletionJson(bool chat, std::string model, std::string fingerprint);

  Json choice(std::size_t index, const ChoiceResult& result) const;
  Json answer(Json::Array choices, const Usage& usage) const;

  /// The beginning of a chat's reply.
  Json first_delta() const;
  /// What a chunk tells of text: the delta of a chat, the text of a completion.
  Json delta(const std::string& text) const;
  Json chunk(std::size_t index, Json delta, Json logprobs, const Ending& ending, const TokenIds& ids = {}) const;
  Json usage_chunk(const Usage& usage) const;

 private:
  Json envelope(const char* chat_object) const;

  bool chat_;
  std::string model_;
  std::string fingerprint_;
  std::string id_;
  int64_t created_;
};

}  // namespace longship
