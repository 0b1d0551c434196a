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

GenerationRequest turn(uint64_t session, std::vector<int32_t> prompt, int64_t max_tokens = 6) {
  GenerationRequest request;
  request.session = session;
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

// Runs a turn; checks its tokens, and that just what was not cached was run.
Report run_turn(Runner& runner, const GenerationRequest& request) {
  const int64_t before = runner.rows_run();
  Report report = runner.run_alone(request);
  EXPECT_EQ(report.tokens, answer_alone(request, kLimits).tokens);
  const auto last_is_not_run = static_cast<int64_t>(report.tokens.size()) - (report.tokens.empty() ? 0 : 1);
  EXPECT_EQ(runner.rows_run() - before,
            static_cast<int64_t>(request.prompt.size()) - report.cached_tokens + last_is_not_run);
  return report;
}

TEST(Session, ATurnRunsOnlyItsNewTokens) {
  Runner runner(kLimits);
  const GenerationRequest first = turn(1, counting(0, 21));
  const Report one = run_turn(runner, first);
  EXPECT_EQ(one.cached_tokens, 0);
  const Report two = run_turn(runner, turn(1, first.prompt + one.tokens + counting(30, 5)));
  EXPECT_EQ(two.cached_tokens, 21 + 5);  // the last generated token was never run
}

TEST(Session, AtLeastOneTokenIsRun) {
  Runner runner(kLimits);
  for (const int32_t length : {1, 4, 5, 16}) {
    run_turn(runner, turn(1, counting(0, length), 0));
    EXPECT_EQ(run_turn(runner, turn(1, counting(0, length))).cached_tokens, length - 1);
  }
}

TEST(Session, AnotherContinuationKeepsTheCommonBeginning) {
  Runner runner(kLimits);
  run_turn(runner, turn(1, counting(0, 30)));
  const int64_t free_before = runner.scheduler().free_pages();
  EXPECT_EQ(run_turn(runner, turn(1, counting(0, 10) + counting(20, 5), 0)).cached_tokens, 10);
  EXPECT_EQ(runner.scheduler().free_pages(), free_before + 9 - 4);
  EXPECT_EQ(run_turn(runner, turn(1, counting(5, 10))).cached_tokens, 0);
}

TEST(Session, SessionsAndRequestsWithoutOneAreApart) {
  Runner runner(kLimits);
  run_turn(runner, turn(1, counting(0, 20)));
  EXPECT_EQ(run_turn(runner, turn(2, counting(0, 20))).cached_tokens, 0);
  EXPECT_EQ(run_turn(runner, turn(0, counting(0, 20))).cached_tokens, 0);
  EXPECT_EQ(run_turn(runner, turn(1, counting(0, 20))).cached_tokens, 19);
}

TEST(Session, EndingOneFreesItsPages) {
  Runner runner(kLimits);
  run_turn(runner, turn(1, counting(0, 20)));
  EXPECT_LT(runner.scheduler().free_pages(), kLimits.kv_pages);
  runner.scheduler().end_session(1);
  runner.scheduler().end_session(1);
  EXPECT_EQ(runner.scheduler().free_pages(), kLimits.kv_pages);
  EXPECT_EQ(run_turn(runner, turn(1, counting(0, 20))).cached_tokens, 0);
}

TEST(Session, EndingOneWhileItRunsLeavesNothingBehind) {
  Runner runner(kLimits);
  const GenerationRequest request = turn(1, counting(0, 20));
  const RequestId id = runner.submit(request);
  runner.step();
  runner.scheduler().end_session(1);
  runner.run();
  EXPECT_EQ(runner.report(id).tokens, answer_alone(request, kLimits).tokens);
  EXPECT_EQ(runner.scheduler().free_pages(), kLimits.kv_pages);
}

TEST(Session, ACancelledTurnLeavesWhatWasPlanned) {
  Runner runner(kLimits);
  const RequestId id = runner.submit(turn(1, counting(0, 100)));
  runner.step();
  ASSERT_EQ(runner.fill(), 2U);
  runner.cancel(id);
  const GenerationRequest next = turn(1, counting(0, 50));
  const Report report = runner.run_alone(next);
  EXPECT_EQ(report.cached_tokens, 48);
  EXPECT_EQ(report.tokens, answer_alone(next, kLimits).tokens);
}

TEST(Session, TheOldestIsForgottenWhenThePoolIsShort) {
  Runner runner(kLimits);
  run_turn(runner, turn(1, counting(0, 80), 0));
  run_turn(runner, turn(2, counting(1, 80), 0));
  run_turn(runner, turn(1, counting(0, 80), 0));
  run_turn(runner, turn(0, counting(2, 120), 0));
  EXPECT_EQ(run_turn(runner, turn(1, counting(0, 80), 0)).cached_tokens, 79);
  EXPECT_EQ(run_turn(runner, turn(2, counting(1, 80), 0)).cached_tokens, 0);
}

TEST(Session, AskingForLogitsRunsTheWholePrompt) {
  Runner runner(kLimits);
  run_turn(runner, turn(1, counting(0, 20)));
  GenerationRequest request = turn(1, counting(0, 20));
  request.prompt_logits = true;
  const Report report = run_turn(runner, request);
  EXPECT_EQ(report.cached_tokens, 0);
  EXPECT_EQ(static_cast<int64_t>(report.prompt_logits.size()), 20 * kLimits.vocab);
  EXPECT_EQ(run_turn(runner, turn(1, counting(0, 20))).cached_tokens, 19);
}

TEST(Session, TwoRequestsOfOneAtATimeAreBothRight) {
  Runner runner(kLimits);
  run_turn(runner, turn(1, counting(0, 20)));
  const GenerationRequest a = turn(1, counting(0, 20) + counting(7, 9));
  const GenerationRequest b = turn(1, counting(0, 20) + counting(9, 9));
  const RequestId first = runner.submit(a);
  const RequestId second = runner.submit(b);
  runner.run();
  EXPECT_EQ(runner.report(first).tokens, answer_alone(a, kLimits).tokens);
  EXPECT_EQ(runner.report(second).tokens, answer_alone(b, kLimits).tokens);
  EXPECT_EQ(runner.report(first).cached_tokens, 20);
  EXPECT_EQ(runner.report(second).cached_tokens, 0);
  runner.scheduler().end_session(1);
  EXPECT_EQ(runner.scheduler().free_pages(), kLimits.kv_pages);
}

}  // namespace
}  // namespace longship::fake
