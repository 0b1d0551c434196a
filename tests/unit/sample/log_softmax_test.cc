#include "engine/sample/log_softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace longship {
namespace {

TEST(NegativeLogLikelihood, IsThatOfSoftmax) {
  const std::vector<float> logits = {1.0F, -2.0F, 0.5F};
  const double sum = std::exp(1.0) + std::exp(-2.0) + std::exp(0.5);
  for (int32_t token = 0; token < 3; ++token) {
    EXPECT_NEAR(negative_log_likelihood(logits, token),
                -std::log(std::exp(double{logits[static_cast<std::size_t>(token)]}) / sum), 1e-14);
  }
}

TEST(NegativeLogLikelihood, LargeLogitsDoNotOverflow) {
  const std::vector<float> logits = {3e4F, 3e4F, -3e4F};
  EXPECT_NEAR(negative_log_likelihood(logits, 0), std::log(2.0), 1e-9);
  EXPECT_NEAR(negative_log_likelihood(logits, 2), 6e4 + std::log(2.0), 1e-9);
}

TEST(PositionLogprobs, TellTheTokenItsRankAndTheMostProbable) {
  const std::vector<float> logits = {1.0F, 3.0F, 2.0F, 3.0F};
  const PositionLogprobs told = position_logprobs(logits, 2, 3);
  EXPECT_NEAR(told.logprob, -negative_log_likelihood(logits, 2), 1e-6);
  EXPECT_EQ(told.rank, 3);
  ASSERT_EQ(told.top.size(), 3U);
  EXPECT_EQ(told.top[0].token, 1);
  EXPECT_EQ(told.top[1].token, 3);
  EXPECT_EQ(told.top[2].token, 2);
  for (const TokenLogprob& one : told.top) {
    EXPECT_NEAR(one.logprob, -negative_log_likelihood(logits, one.token), 1e-6);
  }
  EXPECT_EQ(position_logprobs(logits, 0, 9).top.size(), 4U);
  EXPECT_TRUE(position_logprobs(logits, 0, 0).top.empty());
  EXPECT_EQ(position_logprobs(logits, 1, 0).rank, 2);  // of equals each counts
}

}  // namespace
}  // namespace longship
