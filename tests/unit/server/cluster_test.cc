#include "launcher/server/cluster.h"

#include <gtest/gtest.h>

namespace longship {
namespace {

using std::chrono::milliseconds;

constexpr int64_t kMs = 1'000'000;

const Cluster::Clock::time_point kStart{};

// A rank that has run steps since its start, all alike.
struct Rank {
  int rank = 0;
  int tp = 0;
  int pp = 0;
  int64_t step_ms = 10;
  int64_t collective_ms = 0;
  int64_t moving_ms = 0;  ///< Of collective_ms, as the rank sees it.
  int64_t send_ms = 0;
  int64_t receive_ms = 0;
  int64_t tokens = 2;  ///< Of a step.

  RankActivity after(int64_t steps, int64_t ms) const {
    RankActivity activity;
    activity.rank = rank;
    activity.tp = tp;
    activity.pp = pp;
    activity.pid = 100 + rank;
    activity.clock_ns = ms * kMs;
    activity.steps = {steps, steps * step_ms * kMs, steps * tokens};
    activity.collectives = {steps, steps * collective_ms * kMs, 0};
    activity.moving_ns = steps * moving_ms * kMs;
    activity.sends = {steps, steps * send_ms * kMs, 0};
    activity.receives = {steps, steps * receive_ms * kMs, 0};
    return activity;
  }
};

TEST(Cluster, KnowsNoRatesBeforeAStepIsSeen) {
  Cluster cluster;
  EXPECT_TRUE(cluster.rates(kStart).empty());
  EXPECT_EQ(cluster.token_rates(kStart).generation, 0);
  cluster.observe({Rank{}.after(0, 0)}, {}, kStart);
  const std::vector<RankRate> rates = cluster.rates(kStart);
  ASSERT_EQ(rates.size(), 1U);
  EXPECT_FALSE(rates[0].known);
  EXPECT_EQ(rates[0].busy, 0);
  EXPECT_EQ(slowest_rank(rates), std::nullopt);
}

// Two stages of two ranks; rank 3 computes longest.
TEST(Cluster, SharesStepsAmongComputingMovingAndWaiting) {
  const std::vector<Rank> ranks = {{.rank = 0, .pp = 1, .collective_ms = 3, .moving_ms = 1, .receive_ms = 2},
                                   {.rank = 1, .tp = 1, .pp = 1, .collective_ms = 3, .moving_ms = 2, .receive_ms = 2},
                                   {.rank = 2, .collective_ms = 4, .moving_ms = 4, .send_ms = 1},
                                   {.rank = 3, .tp = 1, .collective_ms = 1, .moving_ms = 1, .send_ms = 1}};
  Cluster cluster;
  for (const int64_t steps : {0, 50}) {
    std::vector<RankActivity> said;
    for (const Rank& rank : ranks) said.push_back(rank.after(steps, steps * 20));
    cluster.observe(said, {.generated = steps, .wrong_guesses = steps / 5}, kStart + milliseconds(steps * 20));
  }
  const std::vector<RankRate> rates = cluster.rates(kStart + milliseconds(1000));
  ASSERT_EQ(rates.size(), 4U);
  const std::vector<std::pair<double, double>> expected = {{0.1, 0.4}, {0.1, 0.4}, {0.2, 0.3}, {0.2, 0.0}};
  for (std::size_t i = 0; i < rates.size(); ++i) {
    EXPECT_EQ(rates[i].activity.rank, static_cast<int>(i));
    EXPECT_TRUE(rates[i].known);
    EXPECT_NEAR(rates[i].step_s, 0.010, 1e-9);
    EXPECT_NEAR(rates[i].comm_share, expected[i].first, 1e-6) << i;
    EXPECT_NEAR(rates[i].wait_share, expected[i].second, 1e-6) << i;
    EXPECT_NEAR(rates[i].busy, 0.5, 1e-6);
  }
  EXPECT_EQ(slowest_rank(rates), 3);
  const Cluster::TokenRates tokens = cluster.token_rates(kStart + milliseconds(1000));
  EXPECT_NEAR(tokens.generation, 50, 1e-6);
  EXPECT_NEAR(tokens.prompt, 40, 1e-6) << "two tokens a step, of which one was generated, and some guessed";
}

TEST(Cluster, AQuietRankIsIdleWithTheRatesOfItsLastWork) {
  Cluster cluster;
  cluster.observe({Rank{}.after(0, 0)}, {}, kStart);
  cluster.observe({Rank{}.after(50, 500)}, {.generated = 50}, kStart + milliseconds(500));
  const std::vector<RankRate> rates = cluster.rates(kStart + milliseconds(9000));
  EXPECT_EQ(rates[0].busy, 0);
  EXPECT_TRUE(rates[0].known);
  EXPECT_NEAR(rates[0].step_s, 0.010, 1e-9);
  EXPECT_EQ(cluster.token_rates(kStart + milliseconds(9000)).generation, 0);
}

TEST(Cluster, RatesAreOfTheLastSeconds) {
  Cluster cluster;
  for (int64_t ms = 0; ms <= 10000; ms += 500) {
    const bool slow = ms > 5000;
    RankActivity activity = Rank{}.after(ms / 20, ms);
    activity.steps.ns = slow ? (5000 / 20 * 10 + (ms - 5000) / 20 * 20) * kMs : activity.steps.ns;
    cluster.observe({activity}, {}, kStart + milliseconds(ms));
  }
  EXPECT_NEAR(cluster.rates(kStart + milliseconds(10000))[0].step_s, 0.020, 1e-9);
}

TEST(Cluster, RanksThatWereStartedAgainBeginAnew) {
  Cluster cluster;
  cluster.observe({Rank{}.after(0, 0)}, {}, kStart);
  cluster.observe({Rank{}.after(50, 500)}, {}, kStart + milliseconds(500));
  RankActivity other = Rank{}.after(60, 1000);
  other.pid = 999;
  cluster.observe({other}, {}, kStart + milliseconds(1000));
  const std::vector<RankRate> rates = cluster.rates(kStart + milliseconds(1000));
  EXPECT_FALSE(rates[0].known);
  EXPECT_EQ(rates[0].activity.pid, 999);
}

}  // namespace
}  // namespace longship
