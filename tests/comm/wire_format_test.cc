#include "comm/wire_format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/error.h"
#include "tests/comm/values.h"

namespace longship {
namespace {

std::vector<float> there_and_back(WireFormat format, const std::vector<float>& values) {
  const auto count = static_cast<int64_t>(values.size());
  std::vector<std::byte> wire(static_cast<std::size_t>(wire_bytes(format, count)));
  to_wire(format, values.data(), count, wire.data());
  std::vector<float> back(values.size());
  from_wire(format, wire.data(), count, back.data());
  return back;
}

std::vector<float> some_values(std::size_t count, float scale) {
  std::vector<float> values;
  for (std::size_t i = 0; i < count; ++i) {
    values.push_back(scale * conformance::wide_value(5, i));
  }
  return values;
}

TEST(WireFormat, SizesOfWholeAndLastBlocks) {
  EXPECT_EQ(wire_bytes(WireFormat::kF32, 33), 132);
  EXPECT_EQ(wire_bytes(WireFormat::kBF16, 33), 66);
  EXPECT_EQ(wire_bytes(WireFormat::kQ8, 64), 68);
  EXPECT_EQ(wire_bytes(WireFormat::kQ8, 33), 37);
  EXPECT_EQ(wire_bytes(WireFormat::kQ8, 0), 0);
}

TEST(WireFormat, F32IsExact) {
  const std::vector<float> values = some_values(77, 1);
  EXPECT_EQ(there_and_back(WireFormat::kF32, values), values);
}

TEST(WireFormat, Bf16IsWithinItsHalfStep) {
  const std::vector<float> values = some_values(77, 1);
  const std::vector<float> back = there_and_back(WireFormat::kBF16, values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_LE(std::abs(back[i] - values[i]), std::abs(values[i]) / 256);
  }
}

TEST(WireFormat, Q8IsWithinHalfAStepOfItsBlock) {
  for (const float scale : {1e-30F, 1.0F, 1e30F}) {
    const std::vector<float> values = some_values(77, scale);
    const std::vector<float> back = there_and_back(WireFormat::kQ8, values);
    for (std::size_t begin = 0; begin < values.size(); begin += 32) {
      const std::size_t end = std::min(begin + 32, values.size());
      float largest = 0;
      for (std::size_t i = begin; i < end; ++i) {
        largest = std::max(largest, std::abs(values[i]));
      }
      // The step is the largest value / 127, rounded up to bf16.
      const float half_step = largest / 127 * (1 + 1.0F / 128) / 2;
      for (std::size_t i = begin; i < end; ++i) {
        EXPECT_LE(std::abs(back[i] - values[i]), half_step * 1.001F);
      }
    }
  }
}

// What was rounded once stays as it is, so a second journey changes nothing.
TEST(WireFormat, Bf16TwiceIsAsOnce) {
  const std::vector<float> once = there_and_back(WireFormat::kBF16, some_values(77, 1));
  EXPECT_EQ(there_and_back(WireFormat::kBF16, once), once);
}

TEST(WireFormat, ZerosAndWhatIsNotFinite) {
  EXPECT_EQ(there_and_back(WireFormat::kQ8, std::vector<float>(40, 0.0F)), std::vector<float>(40, 0.0F));
  std::vector<float> values(64, 1.0F);
  values[3] = std::numeric_limits<float>::infinity();
  values[40] = std::numeric_limits<float>::quiet_NaN();
  for (const WireFormat format : {WireFormat::kBF16, WireFormat::kQ8}) {
    const std::vector<float> back = there_and_back(format, values);
    EXPECT_FALSE(std::isfinite(back[3]));
    EXPECT_FALSE(std::isfinite(back[40]));
  }
}

TEST(WireFormat, NamesAreKnown) {
  EXPECT_EQ(wire_format_of("q8"), WireFormat::kQ8);
  EXPECT_THROW(wire_format_of("fp8"), Error);
}

}  // namespace
}  // namespace longship
