// How steps are planned: who joins, whose pages are taken, which tokens run.
#include <algorithm>
#include <tuple>
#include <utility>

#include "engine/schedule/draft_run.h"
#include "engine/schedule/rows_to_sample.h"
#include "engine/schedule/scheduler.h"

namespace longship {

namespace {

// Puts a sequence where it belongs among those that are ordered by their ranks.
template <class Sequences>
void insert_by_rank(Sequences& sequences, std::unique_ptr<Sequence> sequence) {
  const auto place = std::upper_bound(sequences.begin(), sequences.end(), sequence,
                                      [](const auto& a, const auto& b) { return a->rank() < b->rank(); });
  sequences.insert(place, std::move(sequence));
}

void cut_drafts(Sequence& sequence, int64_t most) {
  sequence.drafts.resize(std::min(sequence.drafts.size(), static_cast<std::size_t>(std::max<int64_t>(0, most))));
}

}  // namespace

// For all tokens of the sequence, and a page more.
int64_t Scheduler::missing_pages(const Sequence& sequence) const {
  const int64_t all = cache_.pages_for(sequence.length()) + 1;
  return std::max<int64_t>(0, all - static_cast<int64_t>(sequence.pages.size()));
}

// Whether the free pages suffice for all that run and this one. Without this, what a preempted sequence has recomputed
// is soon taken from it again.
bool Scheduler::has_room_for(const Sequence& next) const {
  int64_t rest = cache_.free_pages() - missing_pages(next);
  for (const SequencePtr& running : running_) {
    rest -= missing_pages(*running);
  }
  return running_.empty() || rest >= 0 || rest + cache_.adoptable_in_use(next) >= 0;
}

void Scheduler::wait(SequencePtr sequence) {
  insert_by_rank(waiting_, std::move(sequence));
}

void Scheduler::admit() {
  while (!waiting_.empty()) {
    const bool fits = std::ssize(running_) < limits_.max_num_seqs && has_room_for(*waiting_.front());
    if (!fits && make_way_for(*waiting_.front())) {
      continue;
    }
    if (!fits) {
      return;
    }
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

// The last of the running sequences that are less urgent than `next`, by priority alone, waits again; but only if it
// and others like it can make enough room.
bool Scheduler::make_way_for(const Sequence& next) {
  const auto less_urgent = std::find_if(running_.begin(), running_.end(), [&](const SequencePtr& running) {
    return running->request.priority > next.request.priority;
  });
  int64_t rest = cache_.free_pages() - missing_pages(next);
  std::for_each(running_.begin(), less_urgent, [&](const SequencePtr& stays) { rest -= missing_pages(*stays); });
  std::for_each(less_urgent, running_.end(), [&](const SequencePtr& goes) { rest += std::ssize(goes->pages); });
  const std::ptrdiff_t stay = less_urgent - running_.begin();
  if (less_urgent == running_.end() || stay >= limits_.max_num_seqs || (stay > 0 && rest < 0)) {
    return false;
  }
  preempt(running_.size() - 1);
  return true;
}

// A running sequence gives up its place and pages, and waits again.
void Scheduler::preempt(std::size_t place) {
  SequencePtr victim = std::move(running_[place]);
  running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(place));
  cache_.release(*victim);
  ++victim->epoch;
  victim->drafts.clear();
  ++counts_.preemptions;
  wait(std::move(victim));
}

// The last running sequence that holds pages and stands behind `sequence` gives them up and waits again.
bool Scheduler::preempt_one_behind(const Sequence& sequence) {
  for (std::size_t i = running_.size(); i-- > 0 && running_[i].get() != &sequence;) {
    // A sequence of the step being planned keeps its pages: its slice writes to them.
    if (running_[i]->pages.empty() || running_[i]->last_step == next_step_) {
      continue;
    }
    preempt(i);
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
  PlanSlice slice{.sequence = sequence.id,
                  .epoch = sequence.epoch,
                  .begin = sequence.computed,
                  .adapter = sequence.request.adapter,
                  .pages = sequence.pages};
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
  if (sequence.draft_run && sequence.in_prompt()) {
    slice.with_draft = true;
    sequence.draft_run->computed += tokens;
  }
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
  const int64_t most = slices_of_a_plan();
  int64_t spare_rows = spare_logit_rows();
  for (std::size_t i = 0; i < running_.size() && static_cast<int64_t>(step.slices.size()) < most;) {
    Sequence& sequence = *running_[i];
    if (sequence.decodes() && reserve(sequence, 1)) {
      look_up_drafts(sequence, spare_rows);
      cut_drafts(sequence, spare_rows);
      if (!plan(sequence, 1, step)) {
        continue;  // the next one has taken its place
      }
      spare_rows -= static_cast<int64_t>(sequence.drafts.size());
    }
    ++i;
  }
}

int64_t Scheduler::slices_of_a_plan() const {
  const auto running = static_cast<int64_t>(running_.size());
  return std::min(limits_.max_batched_tokens, (running + limits_.window - 1) / limits_.window);
}

// For guesses, beside a row of each sequence that runs.
int64_t Scheduler::spare_logit_rows() const {
  return std::min(limits_.max_batched_tokens, limits_.max_logit_rows) - static_cast<int64_t>(running_.size());
}

// How many guesses behind the sequence's last token are worth while: no more than it may generate.
int64_t Scheduler::most_drafts(const Sequence& sequence, int64_t spare_rows) const {
  return std::min({spare_rows, sequence.draft_length.tokens(), sequence.max_tokens - sequence.generated() - 1});
}

// Guesses what comes behind the sequence's last token, as far as that fits into pages that nobody uses.
void Scheduler::look_up_drafts(Sequence& sequence, int64_t spare_rows) {
  const int64_t most = most_drafts(sequence, spare_rows);
  if (most <= 0 || limits_.lookup.draft_tokens == 0) {
    return;
  }
  sequence.drafts = look_up(sequence.tokens, limits_.lookup, most);
  cut_drafts(sequence, room_for_drafts(sequence, std::ssize(sequence.drafts)));
}

// So many guesses as fit into the sequence's pages and those that nobody uses.
int64_t Scheduler::room_for_drafts(Sequence& sequence, int64_t drafts) {
  return cache_.grow(sequence, sequence.length() + drafts) ? drafts : cache_.room(sequence) - sequence.length();
}

// A step of the draft model for each sequence that wants more guesses than it has.
void Scheduler::plan_draft_model(StepPlan& step) {
  if (limits_.draft_tokens == 0) {
    return;
  }
  step.model = PlanModel::kDraft;
  int64_t spare_rows = spare_logit_rows();
  for (const SequencePtr& sequence : running_) {
    spare_rows -= sequence->draft_run->wanted.value_or(0);
  }
  const int64_t most = slices_of_a_plan();
  for (std::size_t i = 0; i < running_.size() && std::ssize(step.slices) < most; ++i) {
    Sequence& sequence = *running_[i];
    const int64_t room = limits_.max_batched_tokens - std::ssize(step.tokens);
    if (!sequence.decodes() || room == 0 || !reserve(sequence, 1)) {
      continue;
    }
    DraftRun& run = *sequence.draft_run;
    if (const int64_t drafts = most_drafts(sequence, spare_rows); !run.wanted && drafts > 0) {
      run.wanted = room_for_drafts(sequence, drafts);
      spare_rows -= *run.wanted;
    }
    if (add_draft_slice(sequence, room, limits_.vocab, step)) {
      sequence.last_step = next_step_;
    }
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
    plan_draft_model(step);
    if (step.slices.empty()) {
      step.model = PlanModel::kTarget;
      plan_decodes(step);
      plan_prompts(step);
    }
  } while (step.slices.empty() && running_.size() + waiting_.size() < requests);
  if (step.slices.empty()) {
    return std::nullopt;
  }
  ++next_step_;
  in_flight_.push_back(step);
  return step;
}

}  // namespace longship
