#include <gtest/gtest.h>

#include "tests/unit/schedule/runner.h"

namespace longship::fake {
namespace {

constexpr SchedulerLimits kLimits = {.vocab = 40,
                                     .max_model_len = 2000,
                                     .max_num_seqs = 8,
                                     .max_batched_tokens = 16,
                                     .max_logit_rows = 16,
                                     .kv_pages = 1000,
                                     .page_tokens = 4,
                                     .window = 1,
                                     .prefix_cache = false};

GenerationRequest request(int64_t prompt_tokens, int64_t max_tokens, int32_t first = 1, int64_t priority = 0) {
  GenerationRequest request;
  for (int32_t i = 0; i < prompt_tokens; ++i) {
    request.prompt.push_back((first + i) % 40);
  }
  request.max_tokens = max_tokens;
  request.priority = priority;
  return request;
}

// Rows of each sequence in the oldest plan in flight.
std::map<RequestId, int64_t> rows(const Runner& runner) {
  std::map<RequestId, int64_t> rows;
  for (const PlanSlice& slice : runner.in_flight().front().slices) {
    rows[slice.sequence] = slice.rows;
  }
  return rows;
}

TEST(Order, AShortPromptDoesNotWaitForALongOne) {
  Runner runner(kLimits);
  const RequestId huge = runner.submit(request(1500, 1));
  runner.step();
  const RequestId middle = runner.submit(request(30, 1, 2));
  const RequestId tiny = runner.submit(request(5, 1, 3));
  runner.fill();
  EXPECT_EQ(rows(runner), (std::map<RequestId, int64_t>{{huge, 4}, {middle, 7}, {tiny, 5}}));
  runner.step();
  EXPECT_TRUE(runner.report(tiny).finished);
  runner.fill();
  EXPECT_EQ(rows(runner), (std::map<RequestId, int64_t>{{huge, 4}, {middle, 12}}));
  runner.step();
  runner.step();
  EXPECT_TRUE(runner.report(middle).finished);
  runner.fill();
  EXPECT_EQ(rows(runner), (std::map<RequestId, int64_t>{{huge, 16}})) << "nothing is left over";
}

TEST(Order, ALongPromptGoesOnHoweverManyShortOnesCome) {
  Runner runner(kLimits);
  const RequestId huge = runner.submit(request(200, 1));
  int32_t steps = 0;
  for (; !runner.report(huge).finished; ++steps) {
    ASSERT_LT(steps, 200 / 4 + 2);
    runner.submit(request(16, 1, steps));
    runner.step();
  }
  EXPECT_GT(steps, 20) << "the short ones got their part";
}

TEST(Order, EqualPromptsAreRunOneAfterTheOther) {
  Runner runner(kLimits);
  const RequestId one = runner.submit(request(40, 1, 1));
  const RequestId two = runner.submit(request(40, 1, 2));
  runner.run();
  EXPECT_EQ(runner.take_finished(), (std::vector<RequestId>{one, two}));
}

TEST(Order, TheLowerPriorityNumberStartsFirst) {
  SchedulerLimits limits = kLimits;
  limits.max_num_seqs = 1;
  Runner runner(limits);
  const RequestId normal = runner.submit(request(4, 2, 1));
  const RequestId last = runner.submit(request(4, 2, 2, 7));
  const RequestId first = runner.submit(request(4, 2, 3, -7));
  const RequestId next = runner.submit(request(4, 2, 4));
  runner.run();
  EXPECT_EQ(runner.take_finished(), (std::vector<RequestId>{first, normal, next, last}));
}

TEST(Order, AClientWithOneRequestDoesNotWaitForAllOfAnother) {
  SchedulerLimits limits = kLimits;
  limits.max_num_seqs = 1;
  Runner runner(limits);
  std::vector<RequestId> many;
  for (int32_t i = 0; i < 9; ++i) {
    many.push_back(runner.submit(request(4, 2, i)));
  }
  while (!runner.report(many[2]).finished) {
    runner.step();
  }
  runner.fill();
  GenerationRequest other = request(4, 2, 20);
  other.client = 7;
  const RequestId one = runner.submit(other);
  const RequestId two = runner.submit(other);
  runner.run();
  const std::vector<RequestId> order = runner.take_finished();
  EXPECT_EQ(order[3], many[3]) << "it ran already";
  EXPECT_EQ(order[4], many[4]) << "the same turn, but it came first";
  EXPECT_EQ(order[5], one);
  EXPECT_EQ(order[6], many[5]);
  EXPECT_EQ(order[7], two);
}

TEST(Order, PriorityDecidesWhosePromptIsRun) {
  Runner runner(kLimits);
  const RequestId patient = runner.submit(request(10, 1, 1, 1));
  const RequestId urgent = runner.submit(request(100, 1, 2));
  runner.fill();
  EXPECT_EQ(rows(runner), (std::map<RequestId, int64_t>{{urgent, 16}}));
  runner.run();
  EXPECT_EQ(runner.take_finished(), (std::vector<RequestId>{urgent, patient}));
}

TEST(Order, TheLeastUrgentGivesWayWhenThePagesRunOut) {
  SchedulerLimits limits = kLimits;
  limits.max_model_len = 64;
  limits.kv_pages = 17;
  Runner runner(limits);
  const GenerationRequest patient = request(8, 50, 1, 1);
  const GenerationRequest urgent = request(8, 50, 2, 0);
  const RequestId old = runner.submit(patient);
  const RequestId young = runner.submit(urgent);
  runner.run();
  EXPECT_GT(runner.preemptions(), 0);
  EXPECT_EQ(runner.scheduler().stats().preemptions, runner.preemptions());
  EXPECT_EQ(runner.take_finished(), (std::vector<RequestId>{young, old}));
  EXPECT_EQ(runner.report(old).tokens, answer_alone(patient, limits).tokens);
  EXPECT_EQ(runner.report(young).tokens, answer_alone(urgent, limits).tokens);
}

TEST(Order, AnUrgentRequestTakesThePlaceOfOneThatRuns) {
  for (const int window : {1, 3}) {
    SchedulerLimits limits = kLimits;
    limits.max_num_seqs = 2;
    limits.window = window;
    Runner runner(limits);
    const GenerationRequest patient = request(8, 50, 1, 1);
    const GenerationRequest usual = request(8, 50, 2, 0);
    const GenerationRequest urgent = request(8, 20, 3, -1);
    const RequestId first = runner.submit(patient);
    const RequestId second = runner.submit(usual);
    for (int i = 0; i < 10; ++i) runner.step();
    const RequestId third = runner.submit(urgent);
    const RequestId same = runner.submit(usual);
    runner.run();
    EXPECT_EQ(runner.take_finished(), (std::vector<RequestId>{third, second, same, first}));
    EXPECT_EQ(runner.scheduler().stats().preemptions, 1) << "none of the same priority";
    EXPECT_EQ(runner.report(first).tokens, answer_alone(patient, limits).tokens);
    EXPECT_EQ(runner.report(third).tokens, answer_alone(urgent, limits).tokens);
  }
}

TEST(Order, AnUrgentRequestTakesThePagesOfThoseThatRun) {
  SchedulerLimits limits = kLimits;
  limits.max_model_len = 60;
  limits.kv_pages = 24;
  Runner runner(limits);
  const GenerationRequest patient = request(30, 20, 1, 1);
  std::vector<RequestId> patients = {runner.submit(patient), runner.submit(patient)};
  for (int i = 0; i < 8; ++i) runner.step();
  const GenerationRequest urgent = request(40, 4, 2);
  const RequestId id = runner.submit(urgent);
  runner.run();
  EXPECT_EQ(runner.take_finished().front(), id);
  EXPECT_EQ(runner.scheduler().stats().preemptions, 1) << "one makes room enough";
  EXPECT_EQ(runner.report(id).tokens, answer_alone(urgent, limits).tokens);
  for (const RequestId one : patients) {
    EXPECT_EQ(runner.report(one).tokens, answer_alone(patient, limits).tokens);
  }
  EXPECT_EQ(runner.scheduler().free_pages(), limits.kv_pages);
}

}  // namespace
}  // namespace longship::fake
