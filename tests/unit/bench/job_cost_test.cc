#include "launcher/bench/job_cost.h"

#include <gtest/gtest.h>

namespace longship {
namespace {

RankReport rank(int pp, int64_t weight_bytes, int64_t ops) {
  RankReport report;
  report.pp = pp;
  report.roofline = {.read_bytes_per_s = 100, .ops_per_s = 1000};
  report.cost = {.weight_bytes = weight_bytes, .ops_per_token = ops, .kv_bytes_per_key = 2};
  return report;
}

TEST(RunTest, IsNamedAsLlamaBenchDoes) {
  EXPECT_EQ((RunTest{.prompt = 512}.name()), "pp512");
  EXPECT_EQ((RunTest{.generate = 128, .depth = 4096}.name()), "tg128 @ d4096");
}

TEST(JobCost, DecodingReadsWeightsAndKeysForEachToken) {
  const JobCost cost({rank(0, 50, 0)}, 512);
  // 3 tokens behind 10: 11, 12 and 13 keys of 2 bytes.
  EXPECT_DOUBLE_EQ(cost.bytes({.generate = 3, .depth = 10}), 3 * 50 + 2 * (11 + 12 + 13));
  EXPECT_DOUBLE_EQ(cost.least_seconds({.generate = 3, .depth = 10}, 1.5), 1.5 + 222 / 100.0);
}

TEST(JobCost, APromptReadsWeightsOnceAChunk) {
  const JobCost cost({rank(0, 50, 10)}, 4);
  EXPECT_DOUBLE_EQ(cost.bytes({.prompt = 8}), 2 * 50 + 2 * (4 + 8));
  EXPECT_DOUBLE_EQ(cost.ops({.prompt = 8}), 80);
}

TEST(JobCost, StagesFollowOneAnotherInDecodingAndOverlapInPrompts) {
  const JobCost cost({rank(1, 200, 0), rank(0, 100, 0)}, 1);
  const double keys = 2 * (1 + 2 + 3 + 4);
  EXPECT_DOUBLE_EQ(cost.least_seconds({.generate = 4}, 0), (4 * 300 + 2 * keys) / 100);
  const double slow = (4 * 200 + keys) / 100;
  const double fast = (4 * 100 + keys) / 100;
  EXPECT_DOUBLE_EQ(cost.least_seconds({.prompt = 4}, 0), (slow + fast) / 4 + slow * 3 / 4);
}

TEST(JobCost, TheSlowestRankOfAStageCounts) {
  const JobCost cost({rank(0, 100, 0), rank(0, 300, 0)}, 1);
  EXPECT_DOUBLE_EQ(cost.least_seconds({.generate = 1}, 0), 302 / 100.0);
}

}  // namespace
}  // namespace longship
