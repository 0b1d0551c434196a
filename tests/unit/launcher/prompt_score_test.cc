#include "launcher/eval/prompt_score.h"

#include <gtest/gtest.h>

#include <cmath>

namespace longship {
namespace {

TEST(PromptScore, SumsOverThePositionsAsked) {
  const std::vector<float> rows = {0, 0, std::log(2.0F), 0, 0, 0, 5, 5, 5};  // three rows of V = 3
  PromptScore all({0, 2, 1}, 1, 3);
  all.add(0, rows);
  EXPECT_EQ(all.scored(), 2);
  EXPECT_NEAR(all.sum(), std::log(2.0) + std::log(3.0), 1e-6);
  EXPECT_NEAR(all.sum_of_squares(), std::pow(std::log(2.0), 2) + std::pow(std::log(3.0), 2), 1e-6);

  PromptScore later({0, 2, 1}, 2, 3);
  later.add(0, std::span(rows).first(3));
  EXPECT_EQ(later.scored(), 0);
  later.add(1, std::span(rows).subspan(3));
  EXPECT_EQ(later.scored(), 1);
  EXPECT_NEAR(later.sum(), std::log(3.0), 1e-6);
}

}  // namespace
}  // namespace longship
