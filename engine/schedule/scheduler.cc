#include "engine/schedule/scheduler.h"

#include <algorithm>
#include <utility>

#include "engine/sample/log_softmax.h"
#include "engine/schedule/draft_run.h"

namespace longship {

Scheduler::Scheduler(const SchedulerLimits& limits, KeptPages* kept)
    : limits_(limits),
      cache_(limits.kv_pages, limits.page_tokens, limits.prefix_cache, kept),
      next_step_(kept == nullptr ? 0 : kept->steps_done()) {
  LONGSHIP_CHECK(limits.max_num_seqs > 0 && limits.max_batched_tokens > 0 && limits.max_logit_rows > 0 &&
                     limits.page_tokens > 0 && limits.window > 0,
                 "every step has room for a token");
}

namespace {

// Why a request can never run; empty if it can.
std::string refusal(const GenerationRequest& request, const SchedulerLimits& limits) {
  const auto prompt = static_cast<int64_t>(request.prompt.size());
  if (prompt == 0) {
    return "the prompt is empty";
  }
  const auto inside = [&](int32_t id) { return id >= 0 && id < limits.vocab; };
  const bool known = std::all_of(request.prompt.begin(), request.prompt.end(), inside) &&
                     std::all_of(request.output.begin(), request.output.end(), inside);
  if (!known) {
    return "the prompt has a token outside the vocabulary of " + std::to_string(limits.vocab);
  }
  if (request.adapter < 0 || request.adapter > limits.adapters) {
    return "the model has no such adapter";
  }
  const int64_t room = std::min(limits.max_model_len, limits.kv_pages * limits.page_tokens);
  if (prompt > room || (prompt == room && request.max_tokens > 0)) {
    return "the prompt has " + std::to_string(prompt) + " tokens, but there is room for " + std::to_string(room) +
           " with the answer";
  }
  const SamplingParams& sampling = request.sampling;
  const auto& bias = sampling.logit_bias;
  const auto& words = sampling.bad_words;
  if (!std::all_of(bias.begin(), bias.end(), [&](const auto& entry) { return inside(entry.first); }) ||
      !std::all_of(sampling.allowed_ids.begin(), sampling.allowed_ids.end(), inside)) {
    return "a biased or allowed token is outside the vocabulary of " + std::to_string(limits.vocab);
  }
  if (std::any_of(words.begin(), words.end(), [](const auto& word) { return word.empty(); })) {
    return "a bad word has no tokens";
  }
  if (prompt + static_cast<int64_t>(request.output.size()) > room) {
    return "the prompt and what was generated have no room";
  }
  if (request.max_tokens < 0) {
    return "the number of tokens to generate is negative";
  }
  return {};
}

// Also the token that ended a text, which is no part of it.
bool is_generated(const EngineEvent& event) {
  return event.kind == EngineEvent::Kind::kToken || (event.kind == EngineEvent::Kind::kFinished && event.token >= 0);
}

}  // namespace

void Scheduler::submit(RequestId id, GenerationRequest request, std::optional<Guide> guide) {
  auto sequence = std::make_unique<Sequence>();
  sequence->id = id;
  sequence->request = std::move(request);
  sequence->tokens = sequence->request.prompt;
  sequence->prefix = sequence->beginning();
  const std::vector<int32_t>& output = sequence->request.output;
  sequence->tokens.insert(sequence->tokens.end(), output.begin(), output.end());
  std::string error = refusal(sequence->request, limits_);
  if (!error.empty()) {
    finish(*sequence, FinishReason::kError, std::move(error));
    return;
  }
  if (guide && guide->must_end()) {
    finish(*sequence, FinishReason::kStop);
    return;
  }
  sequence->guide = std::move(guide);
  const int64_t room = std::min(limits_.max_model_len, limits_.kv_pages * limits_.page_tokens);
  sequence->draft_length = DraftLength(std::max(limits_.lookup.draft_tokens, limits_.draft_tokens));
  if (limits_.draft_tokens > 0) {
    sequence->draft_run.emplace();
  }
  sequence->max_tokens = std::min(sequence->request.max_tokens, room - sequence->prompt_tokens());
  sequence->turn = next_turn(sequence->request.client);
  wait(std::move(sequence));
}

// A client's requests take turns one behind the other, from the turn on that has been admitted: so one with a single
// request is next, however many others wait.
int64_t Scheduler::next_turn(uint64_t client) {
  const auto last = turns_.try_emplace(client, turn_).first;
  return ++last->second;
}

void Scheduler::cancel(RequestId id) {
  if (Sequence* sequence = find_running(id)) {
    finish(*sequence, FinishReason::kCancelled);
    remove(id);
    return;
  }
  const auto waiting =
      std::find_if(waiting_.begin(), waiting_.end(), [&](const SequencePtr& s) { return s->id == id; });
  if (waiting != waiting_.end()) {
    finish(**waiting, FinishReason::kCancelled);
    waiting_.erase(waiting);
  }
}

void Scheduler::cancel_all() {
  while (!running_.empty()) {
    cancel(running_.back()->id);
  }
  while (!waiting_.empty()) {
    cancel(waiting_.back()->id);
  }
}

Sequence* Scheduler::find_running(RequestId id) const {
  const auto found = std::find_if(running_.begin(), running_.end(), [&](const SequencePtr& s) { return s->id == id; });
  return found == running_.end() ? nullptr : found->get();
}

void Scheduler::remove(RequestId id) {
  std::erase_if(running_, [&](const SequencePtr& s) { return s->id == id; });
}

void Scheduler::finish(Sequence& sequence, FinishReason reason, std::string error) {
  cache_.release(sequence);
  EngineEvent event;
  event.request = sequence.id;
  event.kind = EngineEvent::Kind::kFinished;
  event.reason = reason;
  event.error = std::move(error);
  event.token = -1;
  event.cached_tokens = sequence.cached;
  events_.push_back(std::move(event));
}

void Scheduler::commit(const StepResult& result) {
  LONGSHIP_CHECK(!in_flight_.empty() && in_flight_.front().step == result.step,
                 "results come in the order of the plans");
  const StepPlan step = std::move(in_flight_.front());
  in_flight_.pop_front();
  cache_.note_done(step.step + 1);
  int64_t prompt_tokens = 0;
  const std::size_t earlier_events = events_.size();
  const float* rows = result.rows.data<float>();
  std::span<const RowChoice> choices = result.choices;
  for (const PlanSlice& slice : step.slices) {
    Sequence* sequence = find_running(slice.sequence);
    const bool current = sequence != nullptr && sequence->epoch == slice.epoch;
    if (current && step.model == PlanModel::kDraft) {
      take_draft(*sequence, choices.first(slice.sampled.size()));
    } else if (current) {
      prompt_tokens += std::clamp<int64_t>(sequence->prompt_tokens() - slice.begin, 0, slice.rows);
      commit_slice(*sequence, slice, rows, choices.first(slice.sampled.size()));
      if (const Sequence* running = find_running(slice.sequence)) {  // it goes on
        cache_.note_written(*running, std::min(running->computed, slice.begin + slice.rows));
      }
    }
    rows += slice.whole_rows ? slice.logit_rows * limits_.vocab : 0;
    choices = choices.subspan(slice.sampled.size());
  }
  if (step.model == PlanModel::kTarget) {
    const auto generated =
        std::count_if(events_.begin() + static_cast<std::ptrdiff_t>(earlier_events), events_.end(), is_generated);
    counts_.steps.add(prompt_tokens + generated);
  }
}

void Scheduler::commit_slice(Sequence& sequence, const PlanSlice& slice, const float* rows,
                             std::span<const RowChoice> choices) {
  if (slice.whole_rows) {
    report_prompt(sequence, slice, rows);
  }
  if (!choices.empty()) {
    try {
      verify(sequence, choices);
    } catch (const Error& error) {  // of the request's grammar
      finish(sequence, FinishReason::kError, error.cause());
      remove(slice.sequence);
    }
  } else if (slice.begin + slice.rows == sequence.length()) {  // only the prompt was to be run
    finish(sequence, FinishReason::kLength);
    remove(slice.sequence);
  }
}

// The logits of prompt positions that were not reported yet, as they are or as logprobs of the tokens behind them.
void Scheduler::report_prompt(Sequence& sequence, const PlanSlice& slice, const float* rows) {
  const int64_t first = std::max(sequence.prompt_reported, slice.begin);
  const int64_t end = std::min(slice.begin + slice.rows, sequence.prompt_tokens());
  if (first >= end) {
    return;
  }
  sequence.prompt_reported = end;
  const GenerationRequest& request = sequence.request;
  const auto row = [&](int64_t position) { return rows + (position - slice.begin) * limits_.vocab; };
  EngineEvent event;
  event.request = sequence.id;
  if (request.prompt_logits) {
    event.kind = EngineEvent::Kind::kLogits;
    event.first_position = first;
    event.logits.assign(row(first), row(end));
    events_.push_back(event);
  }
  if (request.prompt_logprobs >= 0) {
    event.kind = EngineEvent::Kind::kPromptLogprobs;
    event.first_position = first + 1;
    event.logits.clear();
    for (int64_t next = first + 1; next <= end && next < sequence.prompt_tokens(); ++next) {
      event.prompt_logprobs.push_back(position_logprobs({row(next - 1), static_cast<std::size_t>(limits_.vocab)},
                                                        request.prompt[static_cast<std::size_t>(next)],
                                                        request.prompt_logprobs));
    }
    if (!event.prompt_logprobs.empty()) {
      events_.push_back(std::move(event));
    }
  }
}

// Takes the token that was chosen from the first row, and from each row behind a draft for as long as the drafts are
// what was chosen: so the tokens are those of one row at a time. The sequence may have ended then.
void Scheduler::verify(Sequence& sequence, std::span<const RowChoice> choices) {
  const std::vector<int32_t> drafts = std::exchange(sequence.drafts, {});
  counts_.drafts += drafts.empty() ? 0 : 1;
  counts_.draft_tokens += std::ssize(drafts);
  std::size_t accepted = 0;
  while (append(sequence, choices[accepted])) {
    if (accepted == drafts.size() || drafts[accepted] != sequence.tokens.back()) {
      if (drafts.empty()) {
        sequence.draft_length.passed();
      } else {
        sequence.draft_length.verified(std::ssize(drafts), static_cast<int64_t>(accepted));
      }
      if (sequence.draft_run) {
        end_drafts(sequence);
      }
      cache_.offer(sequence);
      return;
    }
    ++accepted;
    ++counts_.accepted_tokens;
    ++sequence.computed;
  }
}

// False if the sequence has ended.
bool Scheduler::append(Sequence& sequence, const RowChoice& choice) {
  const RequestId id = sequence.id;
  if (choice.token < 0) {
    throw Error(ErrorKind::kUsage, "no token can follow: what the request allows here is all forbidden by it");
  }
  const auto& stops = sequence.request.stop_ids;
  if (std::find(stops.begin(), stops.end(), choice.token) != stops.end()) {
    finish(sequence, FinishReason::kStop);
    EngineEvent& end = events_.back();
    end.token = choice.token;
    end.logprob = choice.logprob;
    end.top_logprobs = choice.top;
    end.queued_s = sequence.queued_s.value_or(0);
    remove(id);
    return false;
  }
  if (sequence.guide) {
    sequence.guide->accept(choice.token);
  }
  sequence.tokens.push_back(choice.token);
  EngineEvent event;
  event.request = id;
  event.kind = EngineEvent::Kind::kToken;
  event.queued_s = sequence.queued_s.value_or(0);
  event.cached_tokens = sequence.cached;
  event.made = std::chrono::steady_clock::now();
  event.token = choice.token;
  event.logprob = choice.logprob;
  event.top_logprobs = choice.top;
  events_.push_back(std::move(event));
  const bool complete = sequence.guide && sequence.guide->must_end();
  if (complete || sequence.generated() >= sequence.max_tokens) {
    finish(sequence, complete ? FinishReason::kStop : FinishReason::kLength);
    remove(id);
    return false;
  }
  return true;
}

EngineStats Scheduler::stats() const {
  EngineStats stats = counts_;
  stats.running = static_cast<int64_t>(running_.size());
  stats.waiting = static_cast<int64_t>(waiting_.size());
  stats.pages = limits_.kv_pages;
  stats.pages_used = limits_.kv_pages - cache_.free_pages();
  stats.prefix_cache_queries = cache_.queried_tokens();
  stats.prefix_cache_hits = cache_.found_tokens();
  return stats;
}

std::vector<EngineEvent> Scheduler::take_events() {
  return std::exchange(events_, {});
}

}  // namespace longship
