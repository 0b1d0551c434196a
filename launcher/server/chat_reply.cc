#include "launcher/server/chat_reply.h"

#include <random>

namespace longship {

namespace {

// Mistral's templates take ids of nine letters and digits only.
std::string new_call_id(ToolFormat format) {
  static thread_local std::mt19937_64 random{std::random_device{}()};
  constexpr std::string_view kLetters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const bool mistral = format == ToolFormat::kMistral;
  std::string id = mistral ? "" : "call_";
  for (int i = 0; i < (mistral ? 9 : 24); ++i) {
    id += kLetters[random() % kLetters.size()];
  }
  return id;
}

Json object(const char* key, Json value) {
  Json json;
  json.set(key, std::move(value));
  return json;
}

Json function_json(const std::string& name, const std::string& arguments) {
  Json function = object("name", name);
  function.set("arguments", arguments);
  return function;
}

}  // namespace

ChatReply::ChatReply(const ReplyRules& rules)
    : parser_(rules.format, rules.reasoning_open, rules.functions),
      format_(rules.format.tools),
      parallel_(rules.parallel),
      only_calls_(rules.only_calls) {}

Json::Array ChatReply::take(const ReplyEvents& events) {
  Json::Array deltas;
  for (const ReplyEvent& event : events) {
    if (Json one = delta(event); !one.is_null()) {
      deltas.push_back(std::move(one));
    }
  }
  return deltas;
}

// Null: the client is told nothing.
Json ChatReply::delta(const ReplyEvent& event) {
  switch (event.kind) {
    case ReplyEvent::Kind::kContent:
      if (only_calls_) {
        return {};
      }
      content_ += event.text;
      return object("content", event.text);
    case ReplyEvent::Kind::kReasoning:
      reasoning_ += event.text;
      return object("reasoning_content", event.text);
    case ReplyEvent::Kind::kCallBegin:
      hidden_ = !parallel_ && !calls_.empty();
      return hidden_ ? Json() : begin_call(event.text);
    case ReplyEvent::Kind::kArguments:
      if (hidden_) {
        return {};
      }
      calls_.back().arguments += event.text;
      return object("tool_calls", calls_delta(object("function", object("arguments", event.text))));
    default:
      return {};
  }
}

Json ChatReply::begin_call(const std::string& name) {
  calls_.push_back({.id = new_call_id(format_), .name = name, .arguments = {}});
  Json call = object("id", calls_.back().id);
  call.set("type", "function");
  call.set("function", function_json(name, ""));
  return object("tool_calls", calls_delta(std::move(call)));
}

// A piece of the last call.
Json::Array ChatReply::calls_delta(Json call) const {
  Json piece = object("index", static_cast<int64_t>(calls_.size()) - 1);
  for (auto& [key, value] : call.as_object()) {
    piece.set(key, std::move(value));
  }
  return {std::move(piece)};
}

Json ChatReply::message() const {
  Json message = object("role", "assistant");
  message.set("content", has_calls() && content_.empty() ? Json() : Json(content_));
  message.set("refusal", nullptr);
  if (!reasoning_.empty()) {
    message.set("reasoning_content", reasoning_);
  }
  Json::Array calls;
  for (const Call& call : calls_) {
    Json json = object("id", call.id);
    json.set("type", "function");
    json.set("function", function_json(call.name, call.arguments));
    calls.push_back(std::move(json));
  }
  if (has_calls()) {
    message.set("tool_calls", std::move(calls));
  }
  return message;
}

}  // namespace longship
