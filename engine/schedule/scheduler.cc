#include "engine/schedule/scheduler.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "engine/sample/log_softmax.h"
#include "engine/schedule/rows_to_sample.h"

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

// Puts a sequence where it belongs among those that are ordered by their ranks.
template <class Sequences>
void insert_by_rank(Sequences& sequences, std::unique_ptr<Sequence> sequence) {
  const auto place = std::upper_bound(sequences.begin(), sequences.end(), sequence,
                                      [](const auto& a, const auto& b) { return a->rank() < b->rank(); });
  sequences.insert(place, std::move(sequence));
}

}  // namespace

void Scheduler::submit(RequestId id, GenerationRequest request, std::optional<Guide> guide) {
  auto sequence = std::make_unique<Sequence>();
  sequence->id = id;
  sequence->request = std::move(request);
  sequence->tokens = sequence->request.prompt;
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
  sequence->draft_length = DraftLength(limits_.lookup.draft_tokens);
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

// Whether the free pages suffice for all tokens of those that run and of this one, with a page more for each. Without
// this, what a preempted sequence has recomputed is soon taken from it again.
bool Scheduler::has_room_for(const Sequence& next) const {
  const auto missing = [&](const Sequence& sequence) {
    const int64_t all = cache_.pages_for(sequence.length()) + 1;
    return std::max<int64_t>(0, all - static_cast<int64_t>(sequence.pages.size()));
  };
  int64_t rest = cache_.free_pages() - missing(next);
  for (const SequencePtr& running : running_) {
    rest -= missing(*running);
  }
  return running_.empty() || rest >= 0 || rest + cache_.adoptable_in_use(next) >= 0;
}

void Scheduler::wait(SequencePtr sequence) {
  insert_by_rank(waiting_, std::move(sequence));
}

void Scheduler::admit() {
  while (!waiting_.empty() && static_cast<int64_t>(running_.size()) < limits_.max_num_seqs &&
         has_room_for(*waiting_.front())) {
    turn_ = std::max(turn_, waiting_.front()->turn);
    std::erase_if(turns_, [&](const auto& last) { return last.second <= turn_; });
    Sequence& next = *waiting_.front();
    if (!next.queued_s) {
      next.queued_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - next.arrived).count();
    }
    insert_by_rank(running_, std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

// The last running sequence that holds pages and stands behind `sequence` gives them up and waits again.
bool Scheduler::preempt_one_behind(const Sequence& sequence) {
  for (std::size_t i = running_.size(); i-- > 0 && running_[i].get() != &sequence;) {
    // A sequence of the step being planned keeps its pages: its slice writes to them.
    if (running_[i]->pages.empty() || running_[i]->last_step == next_step_) {
      continue;
    }
    SequencePtr victim = std::move(running_[i]);
    running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(i));
    cache_.release(*victim);
    ++victim->epoch;
    victim->drafts.clear();
    ++counts_.preemptions;
    wait(std::move(victim));
    return true;
  }
  return false;
}

// Makes sure that the sequence has pages for `tokens` more tokens.
bool Scheduler::reserve(Sequence& sequence, int64_t tokens) {
  while (!cache_.grow(sequence, sequence.computed + tokens)) {
    if (!preempt_one_behind(sequence)) {
      return false;
    }
  }
  return true;
}

// False if the sequence has ended, as its grammar does not go on.
bool Scheduler::plan(Sequence& sequence, int64_t tokens, StepPlan& plan) {
  PlanSlice slice{
      .sequence = sequence.id, .epoch = sequence.epoch, .begin = sequence.computed, .pages = sequence.pages};
  const bool to_the_end = sequence.computed + tokens == sequence.length();
  if (to_the_end && sequence.generated() < sequence.max_tokens) {
    try {
      slice.sampled = rows_to_sample(sequence, limits_.vocab);
    } catch (const Error& error) {
      finish(sequence, FinishReason::kError, error.cause());
      remove(slice.sequence);
      return false;
    }
  }
  slice.rows = tokens + std::ssize(sequence.drafts);
  const auto first = sequence.tokens.begin() + static_cast<std::ptrdiff_t>(sequence.computed);
  plan.tokens.insert(plan.tokens.end(), first, first + static_cast<std::ptrdiff_t>(tokens));
  plan.tokens.insert(plan.tokens.end(), sequence.drafts.begin(), sequence.drafts.end());
  sequence.computed += tokens;
  sequence.last_step = next_step_;
  slice.whole_rows = sequence.reports_prompt() && slice.begin < sequence.prompt_tokens();
  slice.logit_rows = slice.whole_rows ? slice.rows : std::ssize(slice.sampled);
  plan.slices.push_back(std::move(slice));
  cache_.offer(sequence);
  return true;
}

// One token of each sequence that has just one to run. With several plans in flight they are spread over the plans, so
// that every stage of the pipeline has some.
void Scheduler::plan_decodes(StepPlan& step) {
  const auto running = static_cast<int64_t>(running_.size());
  const int64_t most = std::min(limits_.max_batched_tokens, (running + limits_.window - 1) / limits_.window);
  // For guesses, beside a row of each sequence that runs.
  int64_t spare_rows = std::min(limits_.max_batched_tokens, limits_.max_logit_rows) - running;
  for (std::size_t i = 0; i < running_.size() && static_cast<int64_t>(step.slices.size()) < most;) {
    Sequence& sequence = *running_[i];
    if (sequence.plannable() == 1 && sequence.computed > 0 && reserve(sequence, 1)) {
      draft(sequence, spare_rows);
      if (!plan(sequence, 1, step)) {
        continue;  // the next one has taken its place
      }
      spare_rows -= static_cast<int64_t>(sequence.drafts.size());
    }
    ++i;
  }
}

// Guesses what comes behind the sequence's last token: no more than it may generate, and no more than fits into pages
// that nobody uses.
void Scheduler::draft(Sequence& sequence, int64_t most) {
  most = std::min({most, sequence.draft_length.tokens(), sequence.max_tokens - sequence.generated() - 1});
  if (most <= 0) {
    return;
  }
  sequence.drafts = look_up(sequence.tokens, limits_.lookup, most);
  const int64_t end = sequence.length() + static_cast<int64_t>(sequence.drafts.size());
  if (!cache_.grow(sequence, end)) {
    sequence.drafts.resize(static_cast<std::size_t>(cache_.room(sequence) - sequence.length()));
  }
}

// Chunks of prompts: by priority, what has least left first, so that a short prompt does not wait for a long one. A
// part of the step is kept for the first of all, so that it does not wait for ever for short ones that come later.
void Scheduler::plan_prompts(StepPlan& step) {
  constexpr int64_t kPartOfTheFirst = 4;
  const auto room = [&] { return limits_.max_batched_tokens - static_cast<int64_t>(step.tokens.size()); };
  RequestId first = 0;
  int64_t kept = 0;
  std::vector<std::tuple<int64_t, int64_t, RequestId>> order;
  for (const SequencePtr& sequence : running_) {
    if (!sequence->in_prompt()) {
      continue;
    }
    cache_.adopt(*sequence, next_step_);
    if (order.empty()) {
      first = sequence->id;
      kept = std::min(sequence->plannable(), std::max<int64_t>(1, room() / kPartOfTheFirst));
    }
    order.emplace_back(sequence->request.priority, sequence->plannable(), sequence->id);
  }
  std::sort(order.begin(), order.end());
  for (const auto& [priority, left, id] : order) {
    Sequence* sequence = find_running(id);  // unless an earlier one has taken its pages
    kept = id == first ? 0 : kept;
    if (sequence != nullptr && room() > kept) {
      plan_chunk(*sequence, room() - kept, step);
    }
  }
}

void Scheduler::plan_chunk(Sequence& sequence, int64_t most, StepPlan& step) {
  const int64_t logit_rows = limits_.max_logit_rows - step.logit_rows();
  if (logit_rows <= 0 || !cache_.adopt(sequence, next_step_)) {
    return;
  }
  most = sequence.reports_prompt() ? std::min(most, logit_rows) : most;
  const int64_t chunk =
      chunk_tokens(sequence.computed, sequence.length(), most, {.stages = limits_.window, .key = limits_.key_cost});
  const int64_t tokens = cache_.to_page_end(sequence, chunk, most);
  if (reserve(sequence, tokens)) {
    plan(sequence, tokens, step);
  }
}

std::optional<StepPlan> Scheduler::schedule() {
  StepPlan step;
  step.step = next_step_;
  std::size_t requests = 0;
  do {  // again if some have ended meanwhile and nothing else could run
    requests = running_.size() + waiting_.size();
    admit();
    plan_decodes(step);
    plan_prompts(step);
  } while (step.slices.empty() && running_.size() + waiting_.size() < requests);
  if (step.slices.empty()) {
    return std::nullopt;
  }
  ++next_step_;
  in_flight_.push_back(step);
  return step;
}

void Scheduler::commit(const StepResult& result) {
  LONGSHIP_CHECK(!in_flight_.empty() && in_flight_.front().step == result.step,
                 "results come in the order of the plans");
  const StepPlan step = std::move(in_flight_.front());
  in_flight_.pop_front();
  cache_.note_done(step.step + 1);
  const float* rows = result.rows.data<float>();
  std::span<const RowChoice> choices = result.choices;
  for (const PlanSlice& slice : step.slices) {
    Sequence* sequence = find_running(slice.sequence);
    if (sequence != nullptr && sequence->epoch == slice.epoch) {
      commit_slice(*sequence, slice, rows, choices.first(slice.sampled.size()));
      if (const Sequence* running = find_running(slice.sequence)) {  // it goes on
        cache_.note_written(*running, std::min(running->computed, slice.begin + slice.rows));
      }
    }
    rows += slice.whole_rows ? slice.logit_rows * limits_.vocab : 0;
    choices = choices.subspan(slice.sampled.size());
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
    events_.back().token = choice.token;
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
