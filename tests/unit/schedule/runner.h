#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>

#include "engine/schedule/scheduler.h"
#include "tests/unit/schedule/fake_model.h"

namespace longship::fake {

/// What a request has reported so far.
struct Report {
  std::vector<int32_t> tokens;
  std::vector<float> prompt_logits;
  std::vector<PositionLogprobs> prompt_logprobs;
  int64_t cached_tokens = 0;
  bool finished = false;
  FinishReason reason = FinishReason::kStop;
  int32_t stop_token = -1;
  float stop_logprob = 0;
  std::vector<TokenLogprob> stop_top;
  std::string error;
};

/// A scheduler with `window` plans in flight over the fake model. Every plan is checked against the limits and passes
/// through its serialised form.
class Runner {
 public:
  /// A draft model, if the limits want one, is the same, or another if it has a `salt`.
  explicit Runner(const SchedulerLimits& limits, uint64_t salt = 0)
      : Runner(limits, nullptr, {limits.vocab, limits.kv_pages, limits.page_tokens},
               {limits.vocab, limits.kv_pages, limits.page_tokens, salt}) {}
  /// Goes on with what an earlier one left.
  Runner(const SchedulerLimits& limits, KeptPages* kept, Model model)
      : Runner(limits, kept, std::move(model), {limits.vocab, limits.kv_pages, limits.page_tokens}) {}
  Runner(const SchedulerLimits& limits, KeptPages* kept, Model model, Model draft_model)
      : limits_(limits),
        scheduler_(limits, kept),
        model_(std::move(model)),
        draft_model_(std::move(draft_model)),
        next_step_(kept == nullptr ? 0 : kept->steps_done()) {}

  RequestId submit(GenerationRequest request, std::optional<Guide> guide = {}) {
    const RequestId id = ++last_id_;
    scheduler_.submit(id, std::move(request), std::move(guide));
    collect();
    return id;
  }

  void cancel(RequestId id) {
    scheduler_.cancel(id);
    collect();
  }

  /// Publishes plans up to the window. Gives how many are in flight.
  std::size_t fill() {
    while (in_flight_.size() < static_cast<std::size_t>(limits_.window)) {
      const std::optional<StepPlan> plan = scheduler_.schedule();
      collect();
      if (!plan) {
        break;
      }
      check(*plan);
      in_flight_.push_back(StepPlan::parse(plan->serialize()));
    }
    return in_flight_.size();
  }

  /// Fills the window, then runs the oldest plan. False if there is nothing to run.
  bool step() {
    if (fill() == 0) {
      EXPECT_TRUE(scheduler_.idle()) << "requests wait with nothing in flight";
      return false;
    }
    const StepPlan plan = std::move(in_flight_.front());
    in_flight_.pop_front();
    ++steps_;
    if (plan.model == PlanModel::kDraft) {
      scheduler_.commit(draft_model_.execute(plan));
      ++draft_steps_;
    } else {
      rows_run_ += static_cast<int64_t>(plan.tokens.size());
      draft_model_.execute(plan.draft_part());
      scheduler_.commit(model_.execute(plan));
    }
    collect();
    return true;
  }

  void run() {
    while (step()) {
    }
  }

  Report run_alone(GenerationRequest request) {
    const RequestId id = submit(std::move(request));
    run();
    return reports_.at(id);
  }

  Model take_model() { return std::move(model_); }
  Model take_draft_model() { return std::move(draft_model_); }
  Scheduler& scheduler() { return scheduler_; }
  const std::deque<StepPlan>& in_flight() const { return in_flight_; }
  const Report& report(RequestId id) { return reports_[id]; }
  /// Requests that finished since the last call.
  std::vector<RequestId> take_finished() { return std::exchange(finished_, {}); }
  int64_t steps() const { return steps_; }
  /// Those of them that the draft model ran.
  int64_t draft_steps() const { return draft_steps_; }
  int64_t rows_run() const { return rows_run_; }
  int64_t preemptions() const { return preemptions_; }

 private:
  void check(const StepPlan& plan) {
    EXPECT_EQ(plan.step, next_step_++);
    EXPECT_LE(static_cast<int64_t>(plan.tokens.size()), limits_.max_batched_tokens);
    EXPECT_LE(plan.logit_rows(), limits_.max_logit_rows);
    EXPECT_LE(static_cast<int64_t>(plan.slices.size()), limits_.max_num_seqs);
    int64_t rows = 0;
    std::set<uint64_t> sequences;
    std::map<int32_t, int> users;
    for (const PlanSlice& slice : plan.slices) {
      rows += slice.rows;
      EXPECT_GT(slice.rows, 0);
      EXPECT_TRUE(slice.logit_rows >= 0 && slice.logit_rows <= slice.rows);
      EXPECT_TRUE(sequences.insert(slice.sequence).second) << "a sequence has two slices in a step";
      EXPECT_GE(static_cast<int64_t>(slice.pages.size()) * limits_.page_tokens, slice.begin + slice.rows);
      for (const int32_t page : slice.pages) {
        EXPECT_TRUE(page >= 0 && page < limits_.kv_pages);
        ++users[page];
      }
      if (plan.model == PlanModel::kTarget) {
        check_position(slice);
      }
    }
    for (const PlanSlice& slice : plan.slices) {
      for (int64_t position = slice.begin; position < slice.begin + slice.rows; ++position) {
        EXPECT_EQ(users[slice.pages.at(static_cast<std::size_t>(position / limits_.page_tokens))], 1)
            << "a page is written in a step where another sequence has it";
      }
    }
    EXPECT_EQ(rows, static_cast<int64_t>(plan.tokens.size()));
  }

  // Each position of an epoch is planned once, in order, unless it was found in the cache; again if it was a guess.
  void check_position(const PlanSlice& slice) {
    const auto [place, is_new] = next_position_.try_emplace({slice.sequence, slice.epoch}, slice.begin);
    EXPECT_LE(place->second, slice.begin);
    place->second = slice.begin + slice.rows - std::max<int64_t>(0, std::ssize(slice.sampled) - 1);
    preemptions_ += is_new && slice.epoch > 0 ? 1 : 0;
  }

  void collect() {
    for (const EngineEvent& event : scheduler_.take_events()) {
      Report& report = reports_[event.request];
      EXPECT_FALSE(report.finished) << "an event after the last";
      if (event.kind == EngineEvent::Kind::kToken) {
        report.tokens.push_back(event.token);
      } else if (event.kind == EngineEvent::Kind::kLogits) {
        EXPECT_TRUE(report.tokens.empty()) << "logits of the prompt after a token";
        EXPECT_EQ(event.first_position * limits_.vocab, static_cast<int64_t>(report.prompt_logits.size()));
        report.prompt_logits.insert(report.prompt_logits.end(), event.logits.begin(), event.logits.end());
      } else if (event.kind == EngineEvent::Kind::kPromptLogprobs) {
        EXPECT_TRUE(report.tokens.empty()) << "logprobs of the prompt after a token";
        EXPECT_EQ(event.first_position, std::ssize(report.prompt_logprobs) + 1);
        report.prompt_logprobs.insert(report.prompt_logprobs.end(), event.prompt_logprobs.begin(),
                                      event.prompt_logprobs.end());
      } else {
        report.finished = true;
        report.reason = event.reason;
        report.stop_token = event.token;
        report.stop_logprob = event.logprob;
        report.stop_top = event.top_logprobs;
        report.error = event.error;
        report.cached_tokens = event.cached_tokens;
        finished_.push_back(event.request);
      }
    }
  }

  SchedulerLimits limits_;
  Scheduler scheduler_;
  Model model_;
  Model draft_model_;
  std::deque<StepPlan> in_flight_;
  std::map<RequestId, Report> reports_;
  std::map<std::pair<uint64_t, uint32_t>, int64_t> next_position_;
  std::vector<RequestId> finished_;
  RequestId last_id_ = 0;
  uint64_t next_step_ = 0;
  int64_t steps_ = 0;
  int64_t draft_steps_ = 0;
  int64_t rows_run_ = 0;
  int64_t preemptions_ = 0;
};

}  // namespace longship::fake
