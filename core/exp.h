#pragma once

#include <bit>
#include <cstdint>

// constexpr: device code uses them too.
namespace longship {

/// e^x for x <= 0, within a unit in the last place, the same bits on every machine and device; 0 below -708 and for
/// what is no number. x = n ln 2 + r with |r| <= ln 2 / 2, and e^r by its Taylor series, whose next term is below
/// 5e-18.
constexpr double exp_of_negative(double x) {
  constexpr double kLowest = -708.0;
  if (!(x > kLowest)) {
    return 0;
  }
  constexpr double kRounder = 0x1.8p52;  // added, it leaves a whole number
  const double n = x * 0x1.71547652b82fep+0 + kRounder - kRounder;
  const double r = x - n * 0x1.62e42feep-1 - n * 0x1.a39ef35793c76p-33;
  double p = 1.0 / 6227020800;
  p = p * r + 1.0 / 479001600;
  p = p * r + 1.0 / 39916800;
  p = p * r + 1.0 / 3628800;
  p = p * r + 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  return p * std::bit_cast<double>((static_cast<int64_t>(n) + 1023) << 52);
}

/// The same in single precision for x from -87 to 0, where the series' next term is below 2e-9.
constexpr float exp_of_negative_f32(float x) {
  constexpr float kRounder = 0x1.8p23F;
  const float n = x * 0x1.715476p+0F + kRounder - kRounder;
  const float r = x - n * 0x1.62e4p-1F - n * 0x1.7f7d1cp-20F;
  float p = 1.0F / 5040;
  p = p * r + 1.0F / 720;
  p = p * r + 1.0F / 120;
  p = p * r + 1.0F / 24;
  p = p * r + 1.0F / 6;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  return p * std::bit_cast<float>((static_cast<int32_t>(n) + 127) * (1 << 23));
}

}  // namespace longship
