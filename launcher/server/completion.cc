#include "launcher/server/completion.h"

#include "launcher/server/api_error.h"

namespace longship {

namespace {

double seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

Completion::Completion(CompletionContext& context, CompletionRequest request, std::shared_ptr<HttpExchange> exchange)
    : context_(context),
      request_(std::move(request)),
      exchange_(std::move(exchange)),
      json_(request_.chat, context.model),
      logprobs_json_(context.tokenizer),
      started_(Clock::now()) {}

void Completion::start() {
  exchange_->on_abandoned([self = shared_from_this()] { self->abandon(); });
  running_ = request_.prompts.size() * static_cast<std::size_t>(request_.choices);
  choices_.reserve(running_);
  for (std::size_t index = 0; index < running_; ++index) {
    choices_.push_back({.choice = Choice(context_.tokenizer, request_.stops), .last_token = started_});
  }
  if (request_.stream) {
    exchange_->start_stream("text/event-stream; charset=utf-8");
  }
  for (std::size_t index = 0; index < choices_.size() && !over_; ++index) {
    start_choice(index);
  }
}

void Completion::start_choice(std::size_t index) {
  const CompletionRequest::Prompt& prompt = prompt_of(index);
  if (request_.stream && request_.chat) {
    send_chunk(index, json_.first_delta(), {}, {});
  }
  if (request_.echo) {
    show(index, prompt.text.empty() ? context_.tokenizer->decode(prompt.ids, false) : prompt.text);
  }
  GenerationRequest generation = request_.generation;
  generation.prompt = prompt.ids;
  generation.sampling.choice = static_cast<uint32_t>(index % static_cast<std::size_t>(request_.choices));
  choices_[index].id = context_.hub.submit(
      std::move(generation),
      [self = shared_from_this(), index](const EngineEvent& event) { self->on_event(index, event); });
}

const CompletionRequest::Prompt& Completion::prompt_of(std::size_t index) const {
  return request_.prompts[index / static_cast<std::size_t>(request_.choices)];
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
    show(index, choices_[index].choice.flush());
    end_choice(index, event.reason == FinishReason::kStop ? "stop" : "length");
  }
}

void Completion::on_token(std::size_t index, const EngineEvent& event) {
  Running& running = choices_[index];
  const Clock::time_point now = Clock::now();
  (running.choice.tokens() == 0 ? context_.metrics.time_to_first_token_s : context_.metrics.inter_token_latency_s)
      .observe(seconds(now - running.last_token));
  running.last_token = now;
  show(index, running.choice.push(event, request_.generation.logprobs >= 0));
  if (!over_ && running.choice.stopped()) {
    context_.hub.cancel(running.id);
    end_choice(index, "stop");
  }
}

// Text that a choice has more, and the logprobs that wait.
void Completion::show(std::size_t index, const std::string& text) {
  Running& running = choices_[index];
  if (!request_.stream) {
    running.text += text;
  } else if (!text.empty() || running.choice.has_rows()) {
    send_chunk(index, json_.delta(text), logprobs(running.choice.take_rows()), {});
  }
}

void Completion::end_choice(std::size_t index, const char* reason) {
  choices_[index].finish_reason = reason;
  ++context_.metrics.finished[reason];
  if (request_.stream) {
    send_chunk(index, json_.last_delta(), {}, reason);
  }
  if (--running_ == 0 && !over_) {
    end();
  }
}

void Completion::end() {
  over_ = true;
  context_.metrics.e2e_request_latency_s.observe(seconds(Clock::now() - started_));
  request_.stream ? end_stream() : respond();
}

void Completion::end_stream() {
  if (request_.include_usage) {
    send(json_.usage_chunk(usage()));
  }
  exchange_->write("data: [DONE]\n\n");
  exchange_->finish();
}

void Completion::respond() {
  Json::Array choices;
  for (std::size_t index = 0; index < choices_.size(); ++index) {
    Running& one = choices_[index];
    choices.push_back(json_.choice(index, {one.text, logprobs(one.choice.take_rows()), one.finish_reason}));
  }
  exchange_->respond({.status = 200, .body = dump_json(json_.answer(std::move(choices), usage()))});
}

void Completion::cancel_all(const char* reason) {
  over_ = true;
  for (const Running& one : choices_) {
    if (one.finish_reason.empty()) {
      context_.hub.cancel(one.id);
      ++context_.metrics.finished[reason];
    }
  }
}

void Completion::abandon() {
  if (!over_) {
    cancel_all("abort");
  }
}

void Completion::fail(const EngineEvent& event) {
  cancel_all("error");
  const ApiError error{.status = 500,
                       .message = event.error.empty() ? "the request was cancelled by the server" : event.error};
  if (request_.stream) {
    send(error.json());
    exchange_->finish();
  } else {
    exchange_->respond(error.response());
  }
}

Json Completion::logprobs(const std::vector<TokenRow>& rows) const {
  return request_.chat ? logprobs_json_.of_chat(rows) : logprobs_json_.of_text(rows);
}

Usage Completion::usage() const {
  Usage usage{.cached_tokens = cached_tokens_};
  for (const CompletionRequest::Prompt& prompt : request_.prompts) {
    usage.prompt_tokens += static_cast<int64_t>(prompt.ids.size());
  }
  for (const Running& one : choices_) {
    usage.completion_tokens += one.choice.tokens();
  }
  return usage;
}

void Completion::send(const Json& event) {
  exchange_->write("data: " + dump_json(event) + "\n\n");
}

void Completion::send_chunk(std::size_t index, Json delta, Json logprobs, Json finish_reason) {
  Json chunk = json_.chunk(index, std::move(delta), std::move(logprobs), std::move(finish_reason));
  if (request_.include_usage) {
    chunk.set("usage", nullptr);
  }
  send(chunk);
}

}  // namespace longship
