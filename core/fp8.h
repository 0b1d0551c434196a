#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace longship {

/// The value of an E4M3 number (arXiv 2209.05433, section 3): sign, exponent of bias 7, three bits of mantissa,
/// subnormals of 2^-9, no infinities; 0x7F and 0xFF are not numbers.
inline float e4m3_to_f32(uint8_t bits) {
  const uint32_t magnitude = bits & 0x7FU;
  if (magnitude == 0x7FU) {
    return std::numeric_limits<float>::quiet_NaN();
  }
  // Never through subnormals of f32, which threads of kernels take for zero.
  const float value = magnitude < 8U ? static_cast<float>(magnitude) * 0x1p-9F
                                     : std::bit_cast<float>((magnitude << 20U) + (120U << 23U));
  return (bits & 0x80U) != 0 ? -value : value;
}

}  // namespace longship
