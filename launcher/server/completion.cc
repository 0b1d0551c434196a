#include "launcher/server/completion.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "launcher/server/api_error.h"

namespace longship {

namespace {

double seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

Json::Array ids_json(std::span<const int32_t> ids) {
  return {ids.begin(), ids.end()};
}

// How the engine's end of a choice is told.
Ending ending_of(const EngineEvent& event, const std::vector<int32_t>& named_stops) {
  if (event.reason != FinishReason::kStop) {
    return {.finish_reason = "length"};
  }
  const bool named = std::find(named_stops.begin(), named_stops.end(), event.token) != named_stops.end();
  return {.finish_reason = "stop", .stop_reason = named ? Json(event.token) : Json()};
}

}  // namespace

Completion::Completion(CompletionContext& context, CompletionRequest request, std::shared_ptr<HttpExchange> exchange)
    : context_(context),
      request_(std::move(request)),
      exchange_(std::move(exchange)),
      json_(request_.chat, request_.model.empty() ? context.model : request_.model, context.fingerprint),
      logprobs_json_(context.tokenizer, request_.tokens_as_ids),
      started_(Clock::now()) {}

void Completion::start() {
  exchange_->on_abandoned([self = shared_from_this()] { self->abandon(); });
  running_ = request_.prompts.size() * request_.candidates;
  choices_.reserve(running_);
  for (std::size_t index = 0; index < running_; ++index) {
    choices_.push_back({.choice = Choice(context_.tokenizer, request_.text),
                        .reply = request_.chat ? std::optional<ChatReply>(request_.reply) : std::nullopt,
                        .first_token = started_,
                        .last_token = started_});
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
  if (request_.echo && (!request_.echo_logprobs() || prompt.ids.size() == 1)) {
    echo_prompt(index);
  }
  GenerationRequest generation = request_.generation;
  generation.prompt = prompt.ids;
  generation.sampling.choice = static_cast<uint32_t>(index % request_.candidates);
  choices_[index].id = context_.hub.submit(
      std::move(generation),
      [self = shared_from_this(), index](const EngineEvent& event) { self->on_event(index, event); });
}

const CompletionRequest::Prompt& Completion::prompt_of(std::size_t index) const {
  return request_.prompts[index / request_.candidates];
}

void Completion::on_event(std::size_t index, const EngineEvent& event) {
  if (over_) {
    return;
  }
  if (event.kind == EngineEvent::Kind::kToken) {
    on_token(index, event);
  } else if (event.kind == EngineEvent::Kind::kPromptLogprobs) {
    on_prompt_logprobs(index, event);
  } else if (event.reason >= FinishReason::kCancelled) {
    fail(event);
  } else {
    // Candidates of one prompt share it; the first of them tells what was there before.
    cached_tokens_ += index % request_.candidates == 0 ? event.cached_tokens : 0;
    choices_[index].text += choices_[index].choice.flush();
    const bool stopped = choices_[index].choice.stopped();
    const bool by_token = event.reason == FinishReason::kStop && event.token >= 0;  // which was generated too
    if (by_token) {
      note_token(index, event);
    }
    end_choice(index,
               stopped ? Ending{"stop", choices_[index].choice.stop()} : ending_of(event, request_.stop_token_ids),
               by_token ? &event : nullptr);
  }
}

// When a token came, and which.
void Completion::note_token(std::size_t index, const EngineEvent& event) {
  Running& running = choices_[index];
  const Clock::time_point now = Clock::now();
  (running.choice.tokens() == 0 ? context_.metrics.time_to_first_token_s : context_.metrics.inter_token_latency_s)
      .observe(seconds(now - running.last_token));
  if (running.choice.tokens() == 0) {
    running.first_token = now;
    running.queued_s = event.queued_s;
  }
  running.last_token = now;
  running.reasoning_tokens += running.reply && running.reply->in_reasoning() ? 1 : 0;
  running.ids.push_back(event.token);
}

void Completion::on_token(std::size_t index, const EngineEvent& event) {
  note_token(index, event);
  Running& running = choices_[index];
  const std::string text = running.choice.push(event);
  if (running.choice.stopped()) {
    running.text += text;
    context_.hub.cancel(running.id);
    end_choice(index, {"stop", running.choice.stop()}, nullptr);
  } else if (running.choice.tokens() == request_.generation.max_tokens) {
    running.text += text;  // the end is near: it goes out with that
  } else {
    show(index, text);
  }
}

void Completion::on_prompt_logprobs(std::size_t index, const EngineEvent& event) {
  auto& known = choices_[index].prompt_logprobs;
  known.insert(known.end(), event.prompt_logprobs.begin(), event.prompt_logprobs.end());
  if (request_.echo_logprobs() && known.size() + 1 == prompt_of(index).ids.size()) {
    echo_prompt(index);
  }
}

void Completion::echo_prompt(std::size_t index) {
  const CompletionRequest::Prompt& prompt = prompt_of(index);
  Running& running = choices_[index];
  std::vector<TokenRow> rows;
  if (request_.echo_logprobs()) {
    rows = prompt_rows(Detokenizer(context_.tokenizer, !prompt.shows_special), prompt.ids, running.prompt_logprobs,
                       request_.generation.logprobs);
  }
  running.choice.begin_with(prompt.text, std::move(rows));
  show(index, prompt.text);
}

// Text that a choice has more, and the logprobs that wait.
void Completion::show(std::size_t index, const std::string& text) {
  Running& running = choices_[index];
  running.text += text;
  if (request_.chat) {
    tell(index, running.reply->push(std::exchange(running.text, {})));
  } else if (request_.stream && (!running.text.empty() || running.choice.has_rows())) {
    send_chunk(index, json_.delta(std::exchange(running.text, {})), logprobs(running.choice.take_rows()), {});
  }
}

// What a chat's reply has more, and the logprobs that wait.
void Completion::tell(std::size_t index, Json::Array deltas) {
  Running& running = choices_[index];
  if (!request_.stream) {
    return;
  }
  if (deltas.empty() && running.choice.has_rows()) {
    deltas.push_back(json_.delta(""));
  }
  for (Json& delta : deltas) {
    send_chunk(index, std::move(delta), logprobs(running.choice.take_rows()), {});
  }
}

// A reply that calls functions ends with that, unless it is cut or the client asked for the very call.
void Completion::end_reply(std::size_t index) {
  Running& running = choices_[index];
  show(index, {});
  tell(index, running.reply->finish());
  if (running.reply->has_calls() && running.ending.finish_reason == "stop" &&
      request_.tool_choice != ToolUse::Choice::kNamed) {
    running.ending.finish_reason = "tool_calls";
  }
}

// `token`: the one that ended it, null if none did. What is told of it comes with the last chunk.
void Completion::end_choice(std::size_t index, Ending ending, const EngineEvent* token) {
  Running& running = choices_[index];
  running.ending = std::move(ending);
  if (request_.chat) {
    end_reply(index);
  }
  if (token != nullptr) {
    running.choice.count(*token);
  }
  context_.metrics.observe(times(index));
  ++context_.metrics.finished[running.ending.finish_reason];
  if (request_.stream && request_.chat) {
    send_chunk(index, Json(Json::Object{}), logprobs(running.choice.take_rows()), running.ending);
  } else if (request_.stream) {
    send_chunk(index, json_.delta(running.text), logprobs(running.choice.take_rows()), running.ending);
  }
  if (--running_ == 0 && !over_) {
    end();
  }
}

// What each prompt's answers were asked to be, and how long the longest is.
void Completion::note_request() {
  for (std::size_t prompt = 0; prompt < request_.prompts.size(); ++prompt) {
    int64_t longest = 0;
    for (std::size_t i = 0; i < request_.candidates; ++i) {
      longest = std::max(longest, choices_[prompt * request_.candidates + i].choice.tokens());
    }
    const int64_t room = context_.metrics.cache.max_model_len - std::ssize(request_.prompts[prompt].ids);
    context_.metrics.longest_answer_tokens.observe(static_cast<double>(longest));
    context_.metrics.asked_answers.observe(static_cast<double>(request_.choices));
    context_.metrics.asked_tokens.observe(static_cast<double>(std::min(request_.generation.max_tokens, room)));
  }
}

void Completion::end() {
  over_ = true;
  note_cost();
  note_request();
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
  for (std::size_t prompt = 0; prompt < request_.prompts.size(); ++prompt) {
    for (const std::size_t best : best_choices(prompt)) {
      Running& one = choices_[best];
      choices.push_back(json_.choice(
          choices.size(), {one.reply ? one.reply->message() : Json(one.text), logprobs(one.choice.take_rows()),
                           prompt_logprobs(best), one.ending, take_ids(best)}));
    }
  }
  Json answer = json_.answer(std::move(choices), usage());
  if (request_.chat) {
    answer.set("prompt_logprobs", prompt_logprobs(0));
    if (request_.token_ids) answer.set("prompt_token_ids", ids_json(request_.prompts[0].ids));
  }
  exchange_->respond({.status = 200, .body = dump_json(answer)});
}

// Those of a prompt's candidates that are answered: all in their order, or the most probable ones per token, best
// first.
std::vector<std::size_t> Completion::best_choices(std::size_t prompt) const {
  std::vector<std::size_t> order(request_.candidates);
  std::iota(order.begin(), order.end(), prompt * request_.candidates);
  if (request_.choices < request_.candidates) {
    std::stable_sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) {
      return choices_[a].choice.mean_logprob() > choices_[b].choice.mean_logprob();
    });
    order.resize(request_.choices);
  }
  return order;
}

void Completion::cancel_all(const char* reason) {
  over_ = true;
  note_cost();
  for (const Running& one : choices_) {
    if (one.ending.finish_reason.empty()) {
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
  const bool refused = event.reason == FinishReason::kError;
  const ApiError error{.status = refused ? 400 : 500,
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

Json Completion::prompt_logprobs(std::size_t index) const {
  return request_.prompt_logprobs ? logprobs_json_.of_prompt(prompt_of(index).ids, choices_[index].prompt_logprobs)
                                  : Json();
}

// The ids since the last call, those of the prompt with the first. A chat that is no stream tells its prompt elsewhere.
TokenIds Completion::take_ids(std::size_t index) {
  if (!request_.token_ids) {
    return {};
  }
  Running& running = choices_[index];
  const bool prompt = !std::exchange(running.prompt_told, true) && (request_.stream || !request_.chat);
  return {.prompt = prompt ? Json(ids_json(prompt_of(index).ids)) : Json(),
          .tokens = ids_json(std::exchange(running.ids, {}))};
}

Usage Completion::usage() const {
  Usage usage{.cached_tokens = cached_tokens_};
  for (const CompletionRequest::Prompt& prompt : request_.prompts) {
    usage.prompt_tokens += static_cast<int64_t>(prompt.ids.size());
  }
  usage.reasoning_tokens = request_.reply.format.reasoning == ReasoningFormat::kNone ? -1 : 0;
  for (const Running& one : choices_) {
    usage.completion_tokens += one.choice.tokens();
    usage.reasoning_tokens += one.reasoning_tokens;
  }
  return usage;
}

AnswerTimes Completion::times(std::size_t index) const {
  const Running& one = choices_[index];
  return {.queued_s = one.queued_s,
          .first_token_s = seconds(one.first_token - started_),
          .last_token_s = seconds(one.last_token - started_),
          .end_s = seconds(Clock::now() - started_),
          .prompt_tokens = static_cast<int64_t>(prompt_of(index).ids.size()),
          .tokens = one.choice.tokens()};
}

void Completion::note_cost() const {
  const Usage used = usage();
  AnswerCost cost{.prompt_tokens = used.prompt_tokens, .completion_tokens = used.completion_tokens};
  Clock::time_point first = Clock::time_point::max();
  for (const Running& one : choices_) {
    if (one.choice.tokens() > 0) first = std::min(first, one.first_token);
  }
  if (cost.completion_tokens > 0) {
    cost.first_token_s = seconds(first - started_);
  }
  exchange_->note_cost(cost);
}

void Completion::send(const Json& event) {
  exchange_->write("data: " + dump_json(event) + "\n\n");
}

void Completion::send_chunk(std::size_t index, Json delta, Json logprobs, const Ending& ending) {
  Json chunk = json_.chunk(index, std::move(delta), std::move(logprobs), ending, take_ids(index));
  if (request_.include_usage) {
    chunk.set("usage", request_.continuous_usage ? usage().json() : Json());
  }
  send(chunk);
}

}  // namespace longship
