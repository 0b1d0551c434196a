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

TEST(Exp, IsNearInSinglePrecision) {
  for (float x = 0; x >= -87; x -= 0.0173F) {
    const double right = std::exp(static_cast<double>(x));
    EXPECT_NEAR(exp_of_negative_f32(x), right, right * 0x1p-22) << x;
  }
  EXPECT_EQ(exp_of_negative_f32(0), 1);
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
