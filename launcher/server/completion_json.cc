#include "launcher/server/completion_json.h"

#include <ctime>

#include "launcher/server/random_id.h"

namespace longship {

namespace {

void set_unless_null(Json& json, const char* key, const Json& value) {
  if (!value.is_null()) {
    json.set(key, value);
  }
}

}  // namespace

Json Usage::json() const {
  Json cached;
  cached.set("cached_tokens", cached_tokens);
  Json json;
  json.set("prompt_tokens", prompt_tokens);
  json.set("completion_tokens", completion_tokens);
  json.set("total_tokens", prompt_tokens + completion_tokens);
  json.set("prompt_tokens_details", std::move(cached));
  if (reasoning_tokens >= 0) {
    Json details;
    details.set("reasoning_tokens", reasoning_tokens);
    json.set("completion_tokens_details", std::move(details));
  }
  return json;
}

CompletionJson::CompletionJson(bool chat, std::string model, std::string fingerprint)
    : chat_(chat),
      model_(std::move(model)),
      fingerprint_(std::move(fingerprint)),
      id_(random_id(chat ? "chatcmpl-" : "cmpl-", 32)),
      created_(std::time(nullptr)) {}

Json CompletionJson::envelope(const char* chat_object) const {
  Json json;
  json.set("id", id_);
  json.set("object", chat_ ? chat_object : "text_completion");
  json.set("created", created_);
  json.set("model", model_);
  json.set("system_fingerprint", fingerprint_);
  return json;
}

Json CompletionJson::choice(std::size_t index, const ChoiceResult& result) const {
  Json json;
  json.set("index", static_cast<int64_t>(index));
  json.set(chat_ ? "message" : "text", result.said);
  json.set("logprobs", result.logprobs);
  json.set("finish_reason", result.ending.finish_reason);
  json.set("stop_reason", result.ending.stop_reason);
  if (!chat_) {
    json.set("prompt_logprobs", result.prompt_logprobs);
  }
  set_unless_null(json, "prompt_token_ids", result.ids.prompt);
  set_unless_null(json, "token_ids", result.ids.tokens);
  return json;
}

Json CompletionJson::answer(Json::Array choices, const Usage& usage) const {
  Json json = envelope("chat.completion");
  json.set("choices", std::move(choices));
  json.set("usage", usage.json());
  return json;
}

Json CompletionJson::first_delta() const {
  Json delta;
  delta.set("role", "assistant");
  delta.set("content", "");
  return delta;
}

Json CompletionJson::delta(const std::string& text) const {
  if (!chat_) {
    return {text};
  }
  Json delta;
  delta.set("content", text);
  return delta;
}

Json CompletionJson::chunk(std::size_t index, Json delta, Json logprobs, const Ending& ending,
                           const TokenIds& ids) const {
  const bool last = !ending.finish_reason.empty();
  Json choice;
  choice.set("index", static_cast<int64_t>(index));
  choice.set(chat_ ? "delta" : "text", std::move(delta));
  choice.set("logprobs", std::move(logprobs));
  choice.set("finish_reason", last ? Json(ending.finish_reason) : Json());
  if (last) {
    choice.set("stop_reason", ending.stop_reason);
  }
  set_unless_null(choice, "token_ids", ids.tokens);
  Json json = envelope("chat.completion.chunk");
  set_unless_null(chat_ ? json : choice, "prompt_token_ids", ids.prompt);
  json.set("choices", Json::Array{std::move(choice)});
  return json;
}

Json CompletionJson::usage_chunk(const Usage& usage) const {
  Json json = envelope("chat.completion.chunk");
  json.set("choices", Json::Array{});
  json.set("usage", usage.json());
  return json;
}

}  // namespace longship
