#include "launcher/server/completion.h"

#include <algorithm>
#include <ctime>
#include <random>

#include "launcher/server/api_error.h"

namespace longship {

namespace {

std::string new_id(bool chat) {
  static thread_local std::mt19937_64 random{std::random_device{}()};
  constexpr char kDigits[] = "0123456789abcdef";
  std::string id = chat ? "chatcmpl-" : "cmpl-";
  for (int i = 0; i < 32; ++i) {
    id += kDigits[random() % 16];
  }
  return id;
}

double seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

Json::Array bytes_json(std::string_view bytes) {
  Json::Array array;
  for (const char byte : bytes) {
    array.emplace_back(int64_t{static_cast<unsigned char>(byte)});
  }
  return array;
}

// A logprob as JSON can say it: nothing below the floor that clients know.
double shown(float logprob) {
  constexpr double kFloor = -9999.0;
  return std::max(kFloor, static_cast<double>(logprob));
}

}  // namespace

Completion::Completion(CompletionContext& context, CompletionRequest request, std::shared_ptr<HttpExchange> exchange)
    : context_(context),
      request_(std::move(request)),
      exchange_(std::move(exchange)),
      id_(new_id(request_.chat)),
      created_(std::time(nullptr)),
      started_(Clock::now()) {}

void Completion::start() {
  const auto self = shared_from_this();
  exchange_->on_abandoned([self] { self->abandon(); });
  const auto per_prompt = static_cast<std::size_t>(request_.choices);
  running_ = request_.prompts.size() * per_prompt;
  choices_.reserve(running_);
  for (std::size_t index = 0; index < running_; ++index) {
    choices_.emplace_back(context_.tokenizer, request_.stops);
    choices_.back().last_token = started_;
  }
  if (request_.stream) {
    exchange_->start_stream("text/event-stream; charset=utf-8");
  }
  for (std::size_t index = 0; index < choices_.size() && !over_; ++index) {
    const CompletionRequest::Prompt& prompt = request_.prompts[index / per_prompt];
    if (request_.stream && request_.chat) {
      Json delta;
      delta.set("role", "assistant");
      delta.set("content", "");
      send_choice(index, std::move(delta), {}, {});
    }
    if (request_.echo) {
      show(index, prompt.text.empty() ? context_.tokenizer->decode(prompt.ids, false) : prompt.text);
    }
    GenerationRequest generation = request_.generation;
    generation.prompt = prompt.ids;
    generation.sampling.choice = static_cast<uint32_t>(index % per_prompt);
    choices_[index].id = context_.hub.submit(std::move(generation),
                                             [self, index](const EngineEvent& event) { self->on_event(index, event); });
  }
}

void Completion::on_event(std::size_t index, const EngineEvent& event) {
  if (over_) {
    return;
  }
  if (event.kind == EngineEvent::Kind::kToken) {
    on_token(index, event);
  } else if (event.reason == FinishReason::kError || event.reason == FinishReason::kCancelled) {
    fail(event);
  } else {
    cached_tokens_ += event.cached_tokens;
    show(index, choices_[index].stops.push(choices_[index].detokenizer.flush()) + choices_[index].stops.flush());
    end_choice(index, event.reason == FinishReason::kStop ? "stop" : "length");
  }
}

void Completion::on_token(std::size_t index, const EngineEvent& event) {
  Choice& choice = choices_[index];
  const Clock::time_point now = Clock::now();
  (choice.tokens == 0 ? context_.metrics.time_to_first_token_s : context_.metrics.inter_token_latency_s)
      .observe(seconds(now - choice.last_token));
  choice.last_token = now;
  ++choice.tokens;
  if (request_.generation.logprobs >= 0) {
    choice.logprobs.push_back(logprob_entry(event, choice.text_bytes));
  }
  choice.text_bytes += static_cast<int64_t>(context_.tokenizer->bytes_of(event.token).size());
  show(index, choice.stops.push(choice.detokenizer.push(event.token)));
  if (!over_ && choice.stops.stopped()) {
    context_.hub.cancel(choice.id);
    end_choice(index, "stop");
  }
}

// Text that a choice has more, and the logprobs that wait.
void Completion::show(std::size_t index, const std::string& text) {
  Choice& choice = choices_[index];
  if (!request_.stream) {
    choice.text += text;
    return;
  }
  if (text.empty() && choice.logprobs.empty()) {
    return;
  }
  Json content = request_.chat ? Json() : Json(text);
  if (request_.chat) {
    content.set("content", text);
  }
  send_choice(index, std::move(content), logprobs_json(std::exchange(choice.logprobs, {})), {});
}

void Completion::end_choice(std::size_t index, const char* reason) {
  choices_[index].finish_reason = reason;
  ++context_.metrics.finished[reason];
  if (request_.stream) {
    send_choice(index, request_.chat ? Json(Json::Object{}) : Json(""), {}, reason);
  }
  if (--running_ == 0 && !over_) {
    end();
  }
}

void Completion::end() {
  over_ = true;
  context_.metrics.e2e_request_latency_s.observe(seconds(Clock::now() - started_));
  if (request_.stream) {
    if (request_.include_usage) {
      Json last = envelope(true);
      last.set("choices", Json::Array{});
      last.set("usage", usage());
      send(last);
    }
    exchange_->write("data: [DONE]\n\n");
    exchange_->finish();
    return;
  }
  Json answer = envelope(false);
  Json::Array choices;
  for (std::size_t index = 0; index < choices_.size(); ++index) {
    choices.push_back(choice_json(index, false));
  }
  answer.set("choices", std::move(choices));
  answer.set("usage", usage());
  exchange_->respond({.status = 200, .body = dump_json(answer)});
}

void Completion::abandon() {
  if (over_) {
    return;
  }
  over_ = true;
  for (const Choice& choice : choices_) {
    if (choice.finish_reason.empty()) {
      context_.hub.cancel(choice.id);
      ++context_.metrics.finished["abort"];
    }
  }
}

void Completion::fail(const EngineEvent& event) {
  over_ = true;
  for (const Choice& choice : choices_) {
    if (choice.finish_reason.empty()) {
      context_.hub.cancel(choice.id);
      ++context_.metrics.finished["error"];
    }
  }
  const ApiError error{.status = 500,
                       .message = event.error.empty() ? "the request was cancelled by the server" : event.error};
  if (request_.stream) {
    exchange_->write("data: " + dump_json(error.json()) + "\n\n");
    exchange_->finish();
  } else {
    exchange_->respond(error.response());
  }
}

Json Completion::logprob_entry(const EngineEvent& event, int64_t text_offset) const {
  const auto entry = [&](int32_t token, float logprob) {
    Json json;
    json.set("token", context_.tokenizer->decode({&token, 1}, false));
    json.set("logprob", shown(logprob));
    json.set("bytes", bytes_json(context_.tokenizer->bytes_of(token)));
    return json;
  };
  Json json = entry(event.token, event.logprob);
  Json::Array top;
  for (const TokenLogprob& one : event.top_logprobs) {
    top.push_back(entry(one.token, one.logprob));
  }
  json.set("top_logprobs", std::move(top));
  if (!request_.chat) {
    json.set("text_offset", text_offset);
  }
  return json;
}

// Entries in the shape that the endpoint has for them.
Json Completion::logprobs_json(Json::Array entries) const {
  if (entries.empty()) {
    return {};
  }
  Json json;
  if (request_.chat) {
    json.set("content", std::move(entries));
    json.set("refusal", nullptr);
    return json;
  }
  Json::Array tokens;
  Json::Array token_logprobs;
  Json::Array top_logprobs;
  Json::Array text_offset;
  for (const Json& entry : entries) {
    tokens.push_back(*entry.find("token"));
    token_logprobs.push_back(*entry.find("logprob"));
    Json top{Json::Object{}};
    for (const Json& one : entry.find("top_logprobs")->as_array()) {
      top.set(one.find("token")->as_string(), *one.find("logprob"));
    }
    top_logprobs.push_back(std::move(top));
    text_offset.push_back(*entry.find("text_offset"));
  }
  json.set("tokens", std::move(tokens));
  json.set("token_logprobs", std::move(token_logprobs));
  json.set("top_logprobs", std::move(top_logprobs));
  json.set("text_offset", std::move(text_offset));
  return json;
}

Json Completion::envelope(bool chunk) const {
  Json json;
  json.set("id", id_);
  json.set("object", !request_.chat ? "text_completion" : (chunk ? "chat.completion.chunk" : "chat.completion"));
  json.set("created", created_);
  json.set("model", context_.model);
  return json;
}

Json Completion::choice_json(std::size_t index, bool chunk) const {
  const Choice& choice = choices_[index];
  Json json;
  json.set("index", static_cast<int64_t>(index));
  if (!chunk && request_.chat) {
    Json message;
    message.set("role", "assistant");
    message.set("content", choice.text);
    message.set("refusal", nullptr);
    json.set("message", std::move(message));
  } else if (!chunk) {
    json.set("text", choice.text);
  }
  if (!chunk) {
    json.set("logprobs", logprobs_json(choice.logprobs));
    json.set("finish_reason", choice.finish_reason);
  }
  return json;
}

Json Completion::usage() const {
  int64_t prompt_tokens = 0;
  for (const CompletionRequest::Prompt& prompt : request_.prompts) {
    prompt_tokens += static_cast<int64_t>(prompt.ids.size());
  }
  int64_t tokens = 0;
  for (const Choice& choice : choices_) {
    tokens += choice.tokens;
  }
  Json cached;
  cached.set("cached_tokens", cached_tokens_);
  Json json;
  json.set("prompt_tokens", prompt_tokens);
  json.set("completion_tokens", tokens);
  json.set("total_tokens", prompt_tokens + tokens);
  json.set("prompt_tokens_details", std::move(cached));
  return json;
}

void Completion::send(const Json& event) {
  exchange_->write("data: " + dump_json(event) + "\n\n");
}

// `content` is the delta of a chat, the text of a completion.
void Completion::send_choice(std::size_t index, Json content, Json logprobs, Json finish_reason) {
  Json choice = choice_json(index, true);
  choice.set(request_.chat ? "delta" : "text", std::move(content));
  choice.set("logprobs", std::move(logprobs));
  choice.set("finish_reason", std::move(finish_reason));
  Json chunk = envelope(true);
  chunk.set("choices", Json::Array{std::move(choice)});
  if (request_.include_usage) {
    chunk.set("usage", nullptr);
  }
  send(chunk);
}

}  // namespace longship
