#include "launcher/bench/job_cost.h"

#include <gtest/gtest.h>

namespace longship {
namespace {

RankReport rank(int pp, int64_t weight_bytes, int64_t ops) {
  RankReport report;
  report.pp = pp;
  report.roofline = report.stage_roofline = {.read_bytes_per_s = 100, .ops_per_s = 1000};
  report.cost = {.weight_bytes = weight_bytes, .ops_per_token = ops, .kv_bytes_per_key = 2};
  return report;
}

TEST(RunTest, IsNamedAsLlamaBenchDoes) {
  EXPECT_EQ((RunTest{.prompt = 512}.name()), "pp512");
  EXPECT_EQ((RunTest{.generate = 128, .depth = 4096}.name()), "tg128 @ d4096");
  EXPECT_EQ((RunTest{.generate = 128, .depth = 4096, .streams = 16}.name()), "tg128 x 16 @ d4096");
}

TEST(JobCost, DecodingReadsWeightsAndKeysForEachToken) {
  const JobCost cost({rank(0, 50, 0)}, 512);
  // 3 tokens behind 10: 11, 12 and 13 keys of 2 bytes.
  EXPECT_DOUBLE_EQ(cost.bytes({.generate = 3, .depth = 10}), 3 * 50 + 2 * (11 + 12 + 13));
  EXPECT_DOUBLE_EQ(cost.seconds({.generate = 3, .depth = 10}), 222 / 100.0);
}

TEST(JobCost, StreamsThatDecodeTogetherShareTheWeights) {
  const JobCost cost({rank(0, 50, 10)}, 512);
  const RunTest test{.generate = 3, .depth = 10, .streams = 4};
  EXPECT_EQ(cost.steps(test), 3);
  EXPECT_DOUBLE_EQ(cost.bytes(test), 3 * 50 + 4 * 2 * (11 + 12 + 13));
  EXPECT_DOUBLE_EQ(cost.ops(test), 3 * 4 * 10);
}

TEST(JobCost, APromptReadsWeightsOnceAChunk) {
  const JobCost cost({rank(0, 50, 10)}, 4);
  EXPECT_DOUBLE_EQ(cost.bytes({.prompt = 8}), 2 * 50 + 2 * (4 + 8));
  EXPECT_DOUBLE_EQ(cost.ops({.prompt = 8}), 80);
}

TEST(JobCost, StagesFollowOneAnotherInDecodingAndOverlapInPrompts) {
  const JobCost cost({rank(1, 200, 0), rank(0, 100, 0)}, 1);
  const double keys = 2 * (1 + 2 + 3 + 4);
  EXPECT_DOUBLE_EQ(cost.seconds({.generate = 4}), (4 * 300 + 2 * keys) / 100);
  // The first chunk in the first stage, then all in the second, which takes longer.
  EXPECT_DOUBLE_EQ(cost.seconds({.prompt = 4}), (102 + 4 * 200 + keys) / 100);
}

TEST(JobCost, StreamsKeepTheStagesBusy) {
  RankReport first = rank(0, 100, 0);
  RankReport last = rank(1, 200, 0);
  first.cost.kv_bytes_per_key = last.cost.kv_bytes_per_key = 0;
  const JobCost cost({last, first}, 512);
  // Of two streams, each in a step of its own, the slower stage has always one.
  const double one = cost.seconds({.generate = 100});
  const double two = cost.seconds({.generate = 100, .streams = 2});
  EXPECT_NEAR(two / one, 2 * 200.0 / 300, 0.02);
}

TEST(JobCost, TheSlowestRankOfAStageCounts) {
  const JobCost cost({rank(0, 100, 0), rank(0, 300, 0)}, 1);
  EXPECT_DOUBLE_EQ(cost.seconds({.generate = 1}), 302 / 100.0);
}

TEST(JobCost, StagesThatWorkAloneHaveTheMachineForThemselves) {
  RankReport first = rank(0, 100, 0);
  RankReport last = rank(1, 100, 0);
  first.stage_roofline.read_bytes_per_s = last.stage_roofline.read_bytes_per_s = 200;
  const JobCost cost({last, first}, 1);
  EXPECT_DOUBLE_EQ(cost.seconds({.generate = 1}), 2 * 102 / 200.0);
  EXPECT_DOUBLE_EQ(cost.seconds({.prompt = 2}), (102 + 104 + 104) / 100.0);
}

TEST(JobCost, SumsAndMessagesAreAddedByTheRowsOfAStep) {
  RankReport first = rank(0, 100, 0);
  RankReport last = rank(1, 100, 0);
  last.signal_s = 0.25;
  first.traffic = {StepTraffic{1, 2, 1}, StepTraffic{5, 6, 3}};
  last.traffic = {StepTraffic{1, 2, 0}, StepTraffic{5, 6, 0}};
  const JobCost cost({last, first}, 5);
  EXPECT_DOUBLE_EQ(cost.seconds({.generate = 2}), (4 * 100 + 2 * (2 + 4)) / 100.0 + 2 * (2 + 1 + 2 + 0.25));
  const double chunk = (100 + 2 * 3) / 100.0;
  EXPECT_DOUBLE_EQ(cost.seconds({.prompt = 3}), 2 * (chunk + 4) + 2);
}

TEST(JobCost, TheOverheadGivesTheMeasuredTime) {
  RankReport one = rank(0, 100, 10);
  one.traffic = {StepTraffic{1, 0.5, 0}, StepTraffic{512, 9, 0}};
  const JobCost cost({one}, 512);
  const RunTest test{.generate = 10};
  const Overhead overhead = cost.overhead(test, 40, 0.1);
  EXPECT_NEAR(cost.seconds(test, overhead), 40, 1e-9);
  EXPECT_NEAR(overhead.slowdown, (40 - 10 * 0.6) / cost.bytes(test) * 100, 1e-9);
  EXPECT_NEAR(cost.overhead(test, 0.1, 0).slowdown, 0, 1e-9);
}

// A chunk of 20 tokens is bound by operations. Those of 2 tokens would be by memory, were cores as fast as they can be.
TEST(JobCost, SlowCoresAreNotTakenForSlowMemory) {
  const JobCost one({rank(0, 20, 50)}, 20);
  const RunTest test{.prompt = 20};
  const Overhead overhead = one.overhead(test, 20, 0);
  EXPECT_NEAR(overhead.slowdown, 20, 1e-9);
  EXPECT_NEAR(one.seconds(test, overhead), 20, 1e-9);
  RankReport first = rank(0, 10, 25);
  RankReport last = rank(1, 10, 25);
  first.cost.kv_bytes_per_key = last.cost.kv_bytes_per_key = 0;
  first.roofline.read_bytes_per_s = last.roofline.read_bytes_per_s = 50;
  const JobCost two({first, last}, 2);
  EXPECT_NEAR(two.seconds(test, overhead), 11 * 1.0, 1e-6);
}

// The peak that cores have is out of reach, so that reading looks longer than operations; that it took ten times as
// long as reading is no fault of memory's.
TEST(JobCost, ManyTokensThatTakeLongerThanReadingAreBoundByTheirOperations) {
  const JobCost one({rank(0, 200, 5)}, 20);
  const RunTest test{.prompt = 20};
  const Overhead overhead = one.overhead(test, 20, 0);
  EXPECT_NEAR(one.seconds(test, overhead), 20, 1e-9);
  RankReport first = rank(0, 100, 2);
  RankReport last = rank(1, 100, 3);
  first.cost.kv_bytes_per_key = last.cost.kv_bytes_per_key = 0;
  const JobCost two({first, last}, 4);
  // Five chunks in the longer stage, the first of them behind the shorter one.
  EXPECT_NEAR(two.seconds(test, overhead), 20 * 3.0 / 5 + 20 * 2.0 / 5 / 5, 1e-6);
}

}  // namespace
}  // namespace longship
