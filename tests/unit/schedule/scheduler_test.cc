#include "engine/schedule/scheduler.h"

#include <gtest/gtest.h>

#include "engine/sample/log_softmax.h"
#include "tests/unit/schedule/runner.h"

namespace longship::fake {
namespace {

constexpr SchedulerLimits kLimits = {.vocab = 40,
                                     .max_model_len = 64,
                                     .max_num_seqs = 8,
                                     .max_batched_tokens = 16,
                                     .max_logit_rows = 16,
                                     .kv_pages = 100,
                                     .page_tokens = 4,
                                     .window = 1,
                                     .prefix_cache = false};

SchedulerLimits with_window(int window) {
  SchedulerLimits limits = kLimits;
  limits.window = window;
  return limits;
}

GenerationRequest request(int64_t prompt_tokens, int64_t max_tokens, int32_t first = 1) {
  GenerationRequest request;
  for (int32_t i = 0; i < prompt_tokens; ++i) {
    request.prompt.push_back((first + i) % 40);
  }
  request.max_tokens = max_tokens;
  request.sampling.seed = static_cast<uint64_t>(first);
  return request;
}

TEST(Scheduler, WhatCanNeverRunIsRefused) {
  SchedulerLimits small_pool = kLimits;
  small_pool.kv_pages = 5;
  GenerationRequest empty_word = request(3, 1);
  empty_word.sampling.bad_words = {{4}, {}};
  GenerationRequest unknown_token = request(3, 1);
  unknown_token.prompt[1] = 40;
  const struct {
    SchedulerLimits limits;
    GenerationRequest request;
    const char* cause;
  } cases[] = {
      {kLimits, request(0, 1), "empty"},     {kLimits, request(64, 1), "64"},
      {kLimits, request(65, 0), "64"},       {small_pool, request(20, 1), "20"},
      {kLimits, request(3, -1), "negative"}, {kLimits, unknown_token, "vocabulary of 40"},
      {kLimits, empty_word, "bad word"},
  };
  for (const auto& [limits, refused, cause] : cases) {
    Runner runner(limits);
    const Report report = runner.run_alone(refused);
    EXPECT_TRUE(report.finished);
    EXPECT_EQ(report.reason, FinishReason::kError);
    EXPECT_NE(report.error.find(cause), std::string::npos) << report.error;
    EXPECT_TRUE(report.tokens.empty());
    EXPECT_EQ(runner.rows_run(), 0);
  }
}

TEST(Scheduler, TokensEndWhereTheRoomEnds) {
  EXPECT_EQ(Runner(kLimits).run_alone(request(60, 1000)).tokens.size(), 4U);
  EXPECT_EQ(Runner(kLimits).run_alone(request(63, INT64_MAX)).tokens.size(), 1U);
  SchedulerLimits small_pool = kLimits;
  small_pool.kv_pages = 5;
  const Report report = Runner(small_pool).run_alone(request(10, 1000));
  EXPECT_EQ(report.tokens.size(), 10U);
  EXPECT_EQ(report.reason, FinishReason::kLength);
}

TEST(Scheduler, WithNothingToGenerateThePromptIsRunAllTheSame) {
  for (const int64_t prompt : {1, 16, 17, 64}) {
    Runner runner(kLimits);
    const Report report = runner.run_alone(request(prompt, 0));
    EXPECT_EQ(report.reason, FinishReason::kLength);
    EXPECT_TRUE(report.tokens.empty());
    EXPECT_EQ(runner.rows_run(), prompt);
  }
}

TEST(Scheduler, AStopTokenEndsARequestAndIsToldWithItsEnd) {
  const GenerationRequest free_running = request(5, 30);
  const std::vector<int32_t> tokens = Runner(kLimits).run_alone(free_running).tokens;
  GenerationRequest stopped = free_running;
  stopped.stop_ids = {100, tokens[7]};
  stopped.logprobs = 2;
  const auto expected = std::find(tokens.begin(), tokens.end(), tokens[7]);
  const Report report = Runner(kLimits).run_alone(stopped);
  EXPECT_EQ(report.reason, FinishReason::kStop);
  EXPECT_EQ(report.stop_token, tokens[7]);
  ASSERT_EQ(report.stop_top.size(), 2U);
  EXPECT_EQ(report.stop_top[0].token, tokens[7]) << "greedy";
  EXPECT_EQ(report.stop_top[0].logprob, report.stop_logprob);
  EXPECT_EQ(report.tokens, std::vector<int32_t>(tokens.begin(), expected));
}

TEST(Scheduler, AGenerationGoesOnBehindWhatWasGeneratedElsewhere) {
  GenerationRequest whole = request(9, 30);
  whole.sampling.temperature = 1;
  whole.sampling.frequency_penalty = 0.5;
  const std::vector<int32_t> tokens = Runner(kLimits).run_alone(whole).tokens;
  ASSERT_EQ(tokens.size(), 30U);
  for (const std::ptrdiff_t done : {1, 7, 29, 30}) {
    GenerationRequest rest = whole;
    rest.output.assign(tokens.begin(), tokens.begin() + done);
    const Report report = Runner(kLimits).run_alone(rest);
    EXPECT_EQ(report.tokens, std::vector<int32_t>(tokens.begin() + done, tokens.end()));
    EXPECT_EQ(report.reason, FinishReason::kLength);
  }
  GenerationRequest too_long = request(9, 30);
  too_long.output.assign(10000, 1);
  EXPECT_EQ(Runner(kLimits).run_alone(too_long).reason, FinishReason::kError);
}

TEST(Scheduler, NoStopTokenIsChosenBeforeTheLeastNumber) {
  const std::vector<int32_t> tokens = Runner(kLimits).run_alone(request(5, 30)).tokens;
  GenerationRequest stopped = request(5, 30);
  stopped.stop_ids = {tokens[3]};
  stopped.min_tokens = 12;
  stopped.logprobs = 0;
  EXPECT_GE(Runner(kLimits).run_alone(stopped).tokens.size(), 12U);
  GenerationRequest biased = request(5, 3);
  biased.sampling.logit_bias = {{1 << 20, 1.0F}};
  EXPECT_EQ(Runner(kLimits).run_alone(biased).reason, FinishReason::kError);
  GenerationRequest allowed = request(5, 3);
  allowed.sampling.allowed_ids = {7, -1};
  EXPECT_EQ(Runner(kLimits).run_alone(allowed).reason, FinishReason::kError);
}

TEST(Scheduler, TheLogitsOfAPromptAreThoseOfEveryPosition) {
  SchedulerLimits limits = with_window(3);
  for (const int64_t tokens_of_a_step : {1, 4, 16}) {
    limits.max_batched_tokens = tokens_of_a_step;
    GenerationRequest wants_logits = request(37, 2);
    wants_logits.prompt_logits = true;
    const Report report = Runner(limits).run_alone(wants_logits);
    std::vector<float> expected;
    History history;
    for (const int32_t token : wants_logits.prompt) {
      history.extend(token);
      const std::vector<float> row = logits(history, limits.vocab);
      expected.insert(expected.end(), row.begin(), row.end());
    }
    EXPECT_EQ(report.prompt_logits, expected);
    EXPECT_EQ(report.tokens, answer_alone(wants_logits, limits).tokens);
  }
}

TEST(Scheduler, TheLogprobsOfAPromptAreToldInAnyRoomForLogits) {
  for (const int64_t logit_rows : {8, 11, 16}) {
    SchedulerLimits limits = with_window(3);
    limits.max_logit_rows = logit_rows;
    GenerationRequest wants = request(37, 2);
    wants.prompt_logprobs = 2;
    Runner runner(limits);
    for (int32_t other = 2; other < 6; ++other) runner.submit(request(9, 30, other));
    const Report report = runner.run_alone(wants);
    ASSERT_EQ(report.prompt_logprobs.size(), 36U);
    History history;
    for (std::size_t i = 0; i < 36; ++i) {
      history.extend(wants.prompt[i]);
      const PositionLogprobs expected = position_logprobs(logits(history, limits.vocab), wants.prompt[i + 1], 2);
      EXPECT_EQ(report.prompt_logprobs[i].logprob, expected.logprob);
      EXPECT_EQ(report.prompt_logprobs[i].rank, expected.rank);
      ASSERT_EQ(report.prompt_logprobs[i].top.size(), 2U);
      EXPECT_EQ(report.prompt_logprobs[i].top[1].token, expected.top[1].token);
    }
    EXPECT_EQ(report.tokens, answer_alone(wants, limits).tokens);
  }
}

TEST(Scheduler, OnlyTheLastTokenOfAPromptWantsLogits) {
  Runner runner(with_window(3));
  runner.submit(request(40, 5));
  ASSERT_EQ(runner.fill(), 3U);
  EXPECT_EQ(runner.in_flight()[0].logit_rows(), 0);
  EXPECT_EQ(runner.in_flight()[1].logit_rows(), 0);
  EXPECT_EQ(runner.in_flight()[2].logit_rows(), 1);
}

TEST(Scheduler, ChunksOfOnePromptFillTheWindow) {
  Runner runner(with_window(4));
  runner.submit(request(60, 5));
  ASSERT_EQ(runner.fill(), 4U);
  for (std::size_t i = 0; i < 4; ++i) {
    const StepPlan& plan = runner.in_flight()[i];
    ASSERT_EQ(plan.slices.size(), 1U);
    EXPECT_EQ(plan.slices[0].begin, static_cast<int64_t>(15 * i));
    EXPECT_EQ(plan.slices[0].rows, 15);
  }
}

TEST(Scheduler, StepsAreCountedByTheirTokens) {
  Runner runner(kLimits);
  runner.run_alone(request(24, 3));  // 16 of the prompt, 8 and a token, then a token twice
  const StepSizes sizes = runner.scheduler().stats().steps;
  StepSizes expected;
  for (const int64_t tokens : {16, 9, 1, 1}) expected.add(tokens);
  EXPECT_EQ(sizes, expected);
  EXPECT_EQ(sizes.tokens, 24 + 3);
}

TEST(Scheduler, AGeneratedTokenIsPlannedAfterItWasChosen) {
  Runner runner(with_window(3));
  const RequestId id = runner.submit(request(5, 10));
  for (std::size_t tokens = 0; tokens < 10; ++tokens) {
    EXPECT_EQ(runner.fill(), 1U);
    EXPECT_EQ(runner.report(id).tokens.size(), tokens);
    runner.step();
  }
  EXPECT_TRUE(runner.report(id).finished);
}

TEST(Scheduler, DecodesAreSpreadOverTheWindow) {
  for (const auto& [requests, expected] :
       {std::pair{6, std::vector<std::size_t>{2, 2, 2}}, std::pair{5, std::vector<std::size_t>{2, 2, 1}},
        std::pair{2, std::vector<std::size_t>{1, 1}}, std::pair{1, std::vector<std::size_t>{1}}}) {
    Runner runner(with_window(3));
    for (int32_t i = 0; i < requests; ++i) {
      runner.submit(request(2, 40, i));
    }
    for (int i = 0; i < 12; ++i) {
      runner.step();
    }
    runner.fill();
    std::vector<std::size_t> decodes;
    for (const StepPlan& plan : runner.in_flight()) {
      decodes.push_back(plan.tokens.size());
    }
    std::sort(decodes.rbegin(), decodes.rend());
    EXPECT_EQ(decodes, expected) << requests << " requests";
  }
}

TEST(Scheduler, AStepHoldsDecodesAndThePromptThatArrived) {
  Runner runner(kLimits);
  runner.submit(request(3, 20));
  runner.submit(request(4, 20, 9));
  runner.step();
  const RequestId late = runner.submit(request(40, 20, 17));
  ASSERT_EQ(runner.fill(), 1U);
  const StepPlan& plan = runner.in_flight().front();
  ASSERT_EQ(plan.slices.size(), 3U);
  EXPECT_EQ(plan.tokens.size(), 16U);
  EXPECT_EQ(plan.slices[2].sequence, late);
  EXPECT_EQ(plan.slices[2].rows, 14);
}

TEST(Scheduler, RequestsStartInTheOrderOfArrival) {
  SchedulerLimits limits = kLimits;
  limits.max_num_seqs = 1;
  Runner runner(limits);
  std::vector<RequestId> order;
  for (int32_t i = 0; i < 5; ++i) {
    order.push_back(runner.submit(request(20 - 4 * i, 3, i)));
  }
  runner.run();
  EXPECT_EQ(runner.take_finished(), order);
}

TEST(Scheduler, CancellingFreesThePagesAtOnce) {
  Runner runner(with_window(4));
  const RequestId running = runner.submit(request(60, 4));
  runner.fill();
  ASSERT_LT(runner.scheduler().free_pages(), kLimits.kv_pages - 10);
  runner.cancel(running);
  EXPECT_TRUE(runner.report(running).finished);
  EXPECT_EQ(runner.report(running).reason, FinishReason::kCancelled);
  EXPECT_EQ(runner.scheduler().free_pages(), kLimits.kv_pages);
  const RequestId other = runner.submit(request(6, 4, 9));
  const GenerationRequest next = request(50, 8, 3);
  const RequestId follower = runner.submit(next);
  runner.run();
  EXPECT_TRUE(runner.report(running).tokens.empty());
  EXPECT_EQ(runner.report(other).tokens, answer_alone(request(6, 4, 9), kLimits).tokens);
  EXPECT_EQ(runner.report(follower).tokens, answer_alone(next, kLimits).tokens);
}

TEST(Scheduler, CancelAllEndsRunningAndWaitingRequests) {
  SchedulerLimits limits = kLimits;
  limits.max_num_seqs = 2;
  Runner runner(limits);
  for (int32_t i = 0; i < 5; ++i) {
    runner.submit(request(10, 10, i));
  }
  runner.step();
  runner.scheduler().cancel_all();
  EXPECT_TRUE(runner.scheduler().idle());
  EXPECT_EQ(runner.scheduler().free_pages(), limits.kv_pages);
  EXPECT_EQ(runner.scheduler().take_events().size(), 5U);
}

TEST(Scheduler, TheYoungestGivesWayWhenThePagesRunOut) {
  SchedulerLimits limits = with_window(2);
  limits.kv_pages = 17;
  Runner runner(limits);
  const RequestId old = runner.submit(request(8, 50, 1));
  const RequestId young = runner.submit(request(8, 50, 2));
  runner.run();
  EXPECT_GT(runner.preemptions(), 0);
  EXPECT_EQ(runner.take_finished(), (std::vector<RequestId>{old, young}));
  EXPECT_EQ(runner.report(old).tokens, answer_alone(request(8, 50, 1), limits).tokens);
  EXPECT_EQ(runner.report(young).tokens, answer_alone(request(8, 50, 2), limits).tokens);
}

TEST(Scheduler, LittleIsRecomputedWhenThePoolIsShort) {
  SchedulerLimits limits = with_window(2);
  limits.max_model_len = 1000;
  limits.kv_pages = 150;
  Runner runner(limits);
  int64_t needed = 0;
  for (int32_t i = 0; i < 8; ++i) {
    runner.submit(request(80, 100, i));
    needed += 80 + 99;
  }
  runner.run();
  EXPECT_GT(runner.preemptions(), 0);
  EXPECT_LT(runner.rows_run(), needed * 3 / 2);
}

}  // namespace
}  // namespace longship::fake
