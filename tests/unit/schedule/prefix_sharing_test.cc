#include <gtest/gtest.h>

#include "tests/unit/schedule/runner.h"

namespace longship::fake {
namespace {

constexpr SchedulerLimits kLimits = {.vocab = 40,
                                     .max_model_len = 200,
                                     .max_num_seqs = 4,
                                     .max_batched_tokens = 16,
                                     .max_logit_rows = 16,
                                     .kv_pages = 60,
                                     .page_tokens = 4,
                                     .window = 2};

GenerationRequest request(std::vector<int32_t> prompt, int64_t max_tokens = 6) {
  GenerationRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  return request;
}

std::vector<int32_t> counting(int32_t first, int32_t count) {
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < count; ++i) {
    tokens.push_back((first + i) % 40);
  }
  return tokens;
}

std::vector<int32_t> operator+(std::vector<int32_t> a, const std::vector<int32_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Runs a request; checks its tokens, and that just what was not cached was run.
Report run(Runner& runner, const GenerationRequest& request) {
  const int64_t before = runner.rows_run();
  Report report = runner.run_alone(request);
  EXPECT_EQ(report.tokens, answer_alone(request, kLimits).tokens);
  const auto last_is_not_run = static_cast<int64_t>(report.tokens.size()) - (report.tokens.empty() ? 0 : 1);
  EXPECT_EQ(runner.rows_run() - before,
            static_cast<int64_t>(request.prompt.size()) - report.cached_tokens + last_is_not_run);
  return report;
}

TEST(PrefixSharing, ATurnOfAChatRunsOnlyWhatIsNotInAFullPage) {
  Runner runner(kLimits);
  const GenerationRequest first = request(counting(0, 21));
  const Report one = run(runner, first);
  EXPECT_EQ(one.cached_tokens, 0);
  const Report two = run(runner, request(first.prompt + one.tokens + counting(30, 5)));
  EXPECT_EQ(two.cached_tokens, 24);  // of 26: the last generated token was never run
  EXPECT_EQ(runner.scheduler().stats().prefix_cache_queries, 21 + 21 + 6 + 5);
  EXPECT_EQ(runner.scheduler().stats().prefix_cache_hits, 24);
}

TEST(PrefixSharing, AtLeastOneTokenIsRunInAPageOfItsOwn) {
  Runner runner(kLimits);
  for (const auto& [length, cached] : {std::pair{1, 0}, {4, 0}, {5, 4}, {16, 12}, {17, 16}}) {
    const std::vector<int32_t> prompt = counting(length, length);
    run(runner, request(prompt, 0));
    EXPECT_EQ(run(runner, request(prompt)).cached_tokens, cached) << length;
  }
}

TEST(PrefixSharing, TextsShareAsFarAsTheyAreEqual) {
  Runner runner(kLimits);
  run(runner, request(counting(0, 30)));
  EXPECT_EQ(run(runner, request(counting(0, 10) + counting(20, 5))).cached_tokens, 8);
  EXPECT_EQ(run(runner, request(counting(4, 20))).cached_tokens, 0) << "the same pages at other positions";
  EXPECT_EQ(run(runner, request(counting(0, 30))).cached_tokens, 28);
}

TEST(PrefixSharing, TextsOfOneAdapterShareWithNoOther) {
  SchedulerLimits limits = kLimits;
  limits.adapters = 2;
  Runner runner(limits);
  for (const int64_t cached : {0, 28}) {
    for (const int32_t adapter : {0, 1, 2}) {
      GenerationRequest one = request(counting(0, 30));
      one.adapter = adapter;
      EXPECT_EQ(run(runner, one).cached_tokens, cached) << adapter;
    }
  }
}

TEST(PrefixSharing, CanBeTurnedOff) {
  SchedulerLimits limits = kLimits;
  limits.prefix_cache = false;
  Runner runner(limits);
  run(runner, request(counting(0, 30)));
  EXPECT_EQ(run(runner, request(counting(0, 30))).cached_tokens, 0);
}

TEST(PrefixSharing, ChoicesOfOnePromptComputeItsFullPagesOnce) {
  for (const int32_t prompt : {7, 12, 14, 40, 61}) {
    Runner runner(kLimits);
    std::vector<std::pair<RequestId, GenerationRequest>> choices;
    for (uint32_t choice = 0; choice < 4; ++choice) {
      GenerationRequest one = request(counting(0, prompt), 5);
      one.sampling.choice = choice;
      choices.emplace_back(runner.submit(one), one);
    }
    runner.run();
    const int64_t full = (prompt - 1) / 4 * 4;
    for (const auto& [id, one] : choices) {
      EXPECT_EQ(runner.report(id).tokens, answer_alone(one, kLimits).tokens);
      EXPECT_EQ(runner.report(id).cached_tokens, id == choices[0].first ? 0 : full);
    }
    EXPECT_EQ(runner.rows_run(), prompt + 3 * (prompt - full) + 4 * 4);
    EXPECT_EQ(runner.scheduler().free_pages(), kLimits.kv_pages);
  }
}

// Chunks of a step that are shared among prompts, and by a pipeline, need not be whole pages.
TEST(PrefixSharing, NoPageIsComputedTwiceByPromptsThatRunTogether) {
  for (const int64_t step : {9, 16, 23, 64}) {
    for (const int window : {1, 2, 3}) {
      SchedulerLimits limits = kLimits;
      limits.max_batched_tokens = step;
      limits.window = window;
      limits.key_cost = 0.5;  // chunks of less than a page
      Runner runner(limits);
      std::vector<RequestId> choices;
      for (int32_t choice = 0; choice < 4; ++choice) {
        choices.push_back(runner.submit(request(counting(0, 61), 1)));
      }
      runner.run();
      EXPECT_EQ(runner.rows_run(), 61 + 3 * (61 - 60)) << step << " " << window;
      EXPECT_EQ(runner.report(choices[0]).cached_tokens, 0);
      EXPECT_EQ(runner.report(choices[3]).cached_tokens, 60);
    }
  }
}

TEST(PrefixSharing, WhatACancelledRequestHadPlannedIsThere) {
  Runner runner(kLimits);
  const RequestId id = runner.submit(request(counting(0, 100)));
  runner.step();
  ASSERT_EQ(runner.fill(), 2U);
  const PlanSlice& last = runner.in_flight().back().slices.front();
  const int64_t planned = last.begin + last.rows;
  EXPECT_GT(planned, runner.rows_run());
  runner.cancel(id);
  const GenerationRequest next = request(counting(0, 50));
  const Report report = runner.run_alone(next);
  EXPECT_EQ(report.cached_tokens, planned / 4 * 4);
  EXPECT_EQ(report.tokens, answer_alone(next, kLimits).tokens);
}

TEST(PrefixSharing, WhatWasUsedLongestAgoIsForgottenFirst) {
  Runner runner(kLimits);
  run(runner, request(counting(0, 80), 0));
  run(runner, request(counting(1, 80), 0));
  run(runner, request(counting(0, 80), 0));
  run(runner, request(counting(2, 120), 0));
  EXPECT_EQ(run(runner, request(counting(0, 80), 0)).cached_tokens, 76);
  EXPECT_LT(run(runner, request(counting(1, 80), 0)).cached_tokens, 76);
}

TEST(PrefixSharing, TheEndOfATextIsForgottenBeforeItsBeginning) {
  Runner runner(kLimits);
  run(runner, request(counting(0, 160), 0));
  run(runner, request(counting(1, 120), 0));
  EXPECT_EQ(run(runner, request(counting(0, 160), 0)).cached_tokens, 120);
}

TEST(PrefixSharing, AskingForLogitsRunsTheWholePrompt) {
  Runner runner(kLimits);
  run(runner, request(counting(0, 20)));
  GenerationRequest wants_logits = request(counting(0, 20));
  wants_logits.prompt_logits = true;
  const Report report = run(runner, wants_logits);
  EXPECT_EQ(report.cached_tokens, 0);
  EXPECT_EQ(static_cast<int64_t>(report.prompt_logits.size()), 20 * kLimits.vocab);
}

// Were every one counted by its length, one or two would fit.
TEST(PrefixSharing, RequestsThatShareRunTogetherInAShortPool) {
  SchedulerLimits limits = kLimits;
  limits.kv_pages = 40;
  Runner runner(limits);
  for (int32_t i = 0; i < 4; ++i) {
    runner.submit(request(counting(0, 100) + counting(7 * i, 3), 2));
  }
  std::size_t most = 0;
  while (runner.step()) {
    runner.fill();
    std::set<uint64_t> sequences;
    for (const StepPlan& plan : runner.in_flight()) {
      for (const PlanSlice& slice : plan.slices) {
        sequences.insert(slice.sequence);
      }
    }
    most = std::max(most, sequences.size());
  }
  EXPECT_GE(most, 3U);
  EXPECT_EQ(runner.preemptions(), 0);
}

TEST(PrefixSharing, APreemptedRequestFindsItsPagesAgain) {
  SchedulerLimits limits = kLimits;
  limits.kv_pages = 34;
  Runner runner(limits);
  const GenerationRequest one = request(counting(0, 40), 60);
  const GenerationRequest two = request(counting(1, 40), 60);
  const RequestId old = runner.submit(one);
  const RequestId young = runner.submit(two);
  runner.run();
  EXPECT_GT(runner.preemptions(), 0);
  EXPECT_LT(runner.rows_run(), 2 * 99 + 80) << "all of it was computed again";
  EXPECT_EQ(runner.report(old).tokens, answer_alone(one, limits).tokens);
  EXPECT_EQ(runner.report(young).tokens, answer_alone(two, limits).tokens);
  EXPECT_EQ(runner.report(young).cached_tokens, 0) << "computed by itself";
  EXPECT_EQ(runner.scheduler().free_pages(), limits.kv_pages);
}

}  // namespace
}  // namespace longship::fake
