#include "core/fp8.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/weights/blocks.h"

namespace longship {
namespace {

TEST(Fp8, HasTheValuesOfItsBits) {
  for (int bits = 0; bits < 256; ++bits) {
    const int exponent = bits >> 3 & 15;
    const int mantissa = bits & 7;
    const float value = e4m3_to_f32(static_cast<uint8_t>(bits));
    if (exponent == 15 && mantissa == 7) {
      EXPECT_TRUE(std::isnan(value)) << bits;
      continue;
    }
    const double magnitude = exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
    EXPECT_EQ(value, static_cast<float>(bits >= 128 ? -magnitude : magnitude)) << bits;
    EXPECT_EQ(std::signbit(value), bits >= 128) << bits;
  }
  EXPECT_EQ(e4m3_to_f32(0x7E), 448.0F);
  EXPECT_EQ(e4m3_to_f32(0x01), 0x1p-9F);
}

TEST(Fp8, IsStoredAsTheNearestValue) {
  const auto stored = [](float value) {
    std::byte byte{};
    store_value(DType::kF8_E4M3, value, &byte);
    float back = 0;
    dequantize(DType::kF8_E4M3, &byte, 1, &back);
    return back;
  };
  for (int bits = 0; bits < 256; ++bits) {
    const float value = e4m3_to_f32(static_cast<uint8_t>(bits));
    if (!std::isnan(value)) {
      EXPECT_EQ(stored(value), value);
    }
  }
  EXPECT_EQ(stored(1.0F + 0x1p-4F), 1.0F);  // a tie goes to even
  EXPECT_EQ(stored(1.0F + 3 * 0x1p-4F), 1.25F);
  EXPECT_EQ(stored(-1e6F), -448.0F);
}

}  // namespace
}  // namespace longship
