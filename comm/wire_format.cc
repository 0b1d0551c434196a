#include "comm/wire_format.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "core/error.h"
#include "core/half.h"

namespace longship {

namespace {

constexpr auto kScaleBytes = static_cast<int64_t>(sizeof(uint16_t));
constexpr float kMostSteps = 127;

// The least bf16 number that is not below `value` >= 0.
uint16_t bf16_not_below(float value) {
  const uint16_t rounded = f32_to_bf16(value);
  return bf16_to_f32(rounded) < value ? static_cast<uint16_t>(rounded + 1) : rounded;
}

void block_to_wire(const float* from, int64_t count, std::byte* to) {
  float largest = 0;
  bool finite = true;
  for (int64_t i = 0; i < count; ++i) {
    largest = std::max(largest, std::abs(from[i]));
    finite = finite && std::isfinite(from[i]);
  }
  const uint16_t scale =
      finite ? bf16_not_below(largest / kMostSteps) : f32_to_bf16(std::numeric_limits<float>::quiet_NaN());
  const float step = bf16_to_f32(scale);
  const float steps_per_one = finite && step > 0 ? 1 / step : 0;
  std::memcpy(to, &scale, sizeof scale);
  for (int64_t i = 0; i < count; ++i) {
    const float steps = finite ? std::nearbyint(from[i] * steps_per_one) : 0;
    to[kScaleBytes + i] = static_cast<std::byte>(static_cast<int8_t>(std::clamp(steps, -kMostSteps, kMostSteps)));
  }
}

void block_from_wire(const std::byte* from, int64_t count, float* to) {
  uint16_t scale = 0;
  std::memcpy(&scale, from, sizeof scale);
  const float step = bf16_to_f32(scale);
  for (int64_t i = 0; i < count; ++i) {
    to[i] = step * static_cast<float>(static_cast<int8_t>(from[kScaleBytes + i]));
  }
}

}  // namespace

WireFormat wire_format_of(std::string_view name) {
  if (name == "f32") return WireFormat::kF32;
  if (name == "bf16") return WireFormat::kBF16;
  if (name == "q8") return WireFormat::kQ8;
  throw Error(ErrorKind::kUsage, "there is no wire format \"" + std::string(name) + "\"",
              "Use --comm-dtype f32, bf16 or q8.");
}

int64_t wire_bytes(WireFormat format, int64_t count) {
  switch (format) {
    case WireFormat::kF32:
      return count * static_cast<int64_t>(sizeof(float));
    case WireFormat::kBF16:
      return count * static_cast<int64_t>(sizeof(uint16_t));
    case WireFormat::kQ8:
      return count + (count + kWireBlock - 1) / kWireBlock * kScaleBytes;
  }
  return 0;
}

void to_wire(WireFormat format, const float* from, int64_t count, std::byte* to) {
  switch (format) {
    case WireFormat::kF32:
      std::copy_n(from, count, reinterpret_cast<float*>(to));
      return;
    case WireFormat::kBF16:
      std::transform(from, from + count, reinterpret_cast<uint16_t*>(to), f32_to_bf16);
      return;
    case WireFormat::kQ8:
      for (int64_t i = 0; i < count; i += kWireBlock, to += kWireBlock + kScaleBytes) {
        block_to_wire(from + i, std::min(kWireBlock, count - i), to);
      }
      return;
  }
}

void from_wire(WireFormat format, const std::byte* from, int64_t count, float* to) {
  switch (format) {
    case WireFormat::kF32:
      std::copy_n(reinterpret_cast<const float*>(from), count, to);
      return;
    case WireFormat::kBF16:
      std::transform(reinterpret_cast<const uint16_t*>(from), reinterpret_cast<const uint16_t*>(from) + count, to,
                     bf16_to_f32);
      return;
    case WireFormat::kQ8:
      for (int64_t i = 0; i < count; i += kWireBlock, from += kWireBlock + kScaleBytes) {
        block_from_wire(from, std::min(kWireBlock, count - i), to + i);
      }
      return;
  }
}

}  // namespace longship
