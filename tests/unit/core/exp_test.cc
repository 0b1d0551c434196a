#include "core/exp.h"

#include <gtest/gtest.h>

#include <cmath>

namespace longship {
namespace {

TEST(Exp, IsWithinAUnitInTheLastPlace) {
  for (double x = 0; x > -707; x -= 0.00137) {
    const double right = std::exp(x);
    EXPECT_NEAR(exp_of_negative(x), right, right * 0x1.8p-52) << x;
  }
}

TEST(Exp, IsExactAtTheEnds) {
  EXPECT_EQ(exp_of_negative(0), 1);
  EXPECT_EQ(exp_of_negative(-0.0), 1);
  EXPECT_EQ(exp_of_negative(-708), 0);
  EXPECT_EQ(exp_of_negative(-HUGE_VAL), 0);
  EXPECT_EQ(exp_of_negative(std::nan("")), 0);
}

}  // namespace
}  // namespace longship
