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

TEST(TopLogprobs, AreTheMostProbableAndTheLowestOfEquals) {
  const std::vector<float> logits = {1.0F, 3.0F, 2.0F, 3.0F};
  const std::vector<TokenLogprob> top = top_logprobs(logits, 3);
  ASSERT_EQ(top.size(), 3U);
  EXPECT_EQ(top[0].token, 1);
  EXPECT_EQ(top[1].token, 3);
  EXPECT_EQ(top[2].token, 2);
  for (const TokenLogprob& one : top) {
    EXPECT_NEAR(one.logprob, -negative_log_likelihood(logits, one.token), 1e-6);
  }
  EXPECT_EQ(top_logprobs(logits, 9).size(), 4U);
  EXPECT_TRUE(top_logprobs(logits, 0).empty());
}

}  // namespace
}  // namespace longship
