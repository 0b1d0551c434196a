#include "tests/support/served_api.h"

#include <algorithm>

#include "tests/support/data_path.h"

namespace longship {

namespace {

class Exchange : public HttpExchange {
 public:
  void respond(HttpResponse response) override {
    ++answer.answers;
    answer.status = response.status;
    answer.body = std::move(response.body);
    answer.headers = std::move(response.headers);
  }
  void start_stream(const std::string&) override { answer.stream = true; }
  void write(std::string data) override { answer.body += data; }
  void finish() override {
    ++answer.answers;
    answer.status = 200;
  }
  void on_abandoned(std::function<void()>) override {}

  ApiAnswer answer;
};

std::vector<TokenLogprob> first_tokens(int64_t count) {
  std::vector<TokenLogprob> result;
  for (int64_t i = 0; i < count; ++i) {
    result.push_back({static_cast<int32_t>(i), -1.0F});
  }
  return result;
}

std::shared_ptr<const ModelText> small_model() {
  return std::make_shared<const ModelText>(load_model_text(data_path("gguf-models/llama-Q8_0.gguf"), {}, true));
}

}  // namespace

RequestId ReadyEngine::submit(GenerationRequest request) {
  request_ = std::move(request);
  ++last_id_;
  tell_prompt();
  const int64_t room = info().max_model_len - std::ssize(request_.prompt);
  const int64_t most = std::min(request_.max_tokens, room);
  for (int64_t i = 1; i <= (words_.empty() ? most : std::min(most, std::ssize(words_))); ++i) {
    tell_token(words_.empty() ? static_cast<int32_t>((request_.prompt.back() + i) % vocab_)
                              : words_[static_cast<std::size_t>(i - 1)]);
  }
  const bool all_said = !words_.empty() && std::ssize(words_) <= most;
  EngineEvent& end = add(EngineEvent::Kind::kFinished);
  end.reason = all_said ? FinishReason::kStop : FinishReason::kLength;
  end.token = all_said && !request_.stop_ids.empty() ? request_.stop_ids.front() : -1;
  end.logprob = -1;
  end.top_logprobs = first_tokens(request_.logprobs);
  return last_id_;
}

EngineEvent& ReadyEngine::add(EngineEvent::Kind kind) {
  EngineEvent& event = events_.emplace_back();
  event.request = last_id_;
  event.kind = kind;
  return event;
}

void ReadyEngine::tell_token(int32_t token) {
  EngineEvent& event = add(EngineEvent::Kind::kToken);
  event.token = token;
  event.logprob = -1;
  event.top_logprobs = first_tokens(request_.logprobs);
}

void ReadyEngine::tell_prompt() {
  for (std::size_t i = 1; i < request_.prompt.size() && request_.prompt_logprobs >= 0; ++i) {
    EngineEvent& event = add(EngineEvent::Kind::kPromptLogprobs);
    event.first_position = static_cast<int64_t>(i);
    event.prompt_logprobs.push_back({-1.0F, 1, first_tokens(request_.prompt_logprobs)});
  }
}

std::optional<EngineEvent> ReadyEngine::next_event(Deadline) {
  if (events_.empty()) {
    return std::nullopt;
  }
  EngineEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

ServedApi::ServedApi(std::vector<AdapterOption> adapters) : ServedApi(small_model(), 300, std::move(adapters)) {}

ServedApi::ServedApi(std::shared_ptr<const ModelText> model, int64_t max_model_len, std::vector<AdapterOption> adapters)
    : model_(std::move(model)),
      engine_(model_->tokenizer->vocab_size(), max_model_len),
      api_({.served_names = {"ship", "vessel/large"},
            .adapters = std::move(adapters),
            .most_requests = 512,
            .version = "0"},
           model_) {
  api_.attach(engine_);
}

ApiAnswer ServedApi::ask(const HttpRequest& request) {
  const auto exchange = std::make_shared<Exchange>();
  api_.handle(request, exchange);
  while (const std::optional<EngineEvent> event = engine_.next_event({})) {
    api_.hub()->deliver(*event);
  }
  return exchange->answer;
}

}  // namespace longship
