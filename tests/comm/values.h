#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "core/tensor.h"

namespace longship::conformance {

/// A hash of two numbers, the same on every rank.
inline uint64_t mix(uint64_t a, uint64_t b) {
  uint64_t x = a * 0x9e3779b97f4a7c15ULL + b + 0x632be59bd9b4e019ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// A value of either sign whose exponent spreads over 2^-12 .. 2^12, so that the order of a sum shows.
inline float wide_value(uint64_t seed, uint64_t index) {
  const uint64_t bits = mix(seed, index);
  const float mantissa = 1.0F + static_cast<float>(bits & 0x7fffff) / 8388608.0F;
  const int exponent = static_cast<int>((bits >> 24) % 25) - 12;
  return std::ldexp((bits >> 40) % 2 == 0 ? mantissa : -mantissa, exponent);
}

/// A small whole number: sums of these are exact in any order.
inline float whole_value(uint64_t seed, uint64_t index) {
  return static_cast<float>(mix(seed, index) % 2001) - 1000.0F;
}

inline Tensor filled(Shape shape, uint64_t seed, float (*value)(uint64_t, uint64_t)) {
  Tensor tensor = Tensor::allocate(DType::kF32, std::move(shape));
  uint64_t index = 0;
  for (float& x : tensor.values<float>()) {
    x = value(seed, index++);
  }
  return tensor;
}

/// Number of values whose bits differ (so that -0 is not 0, and nothing is printed a million times).
inline int64_t differing_bits(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) {
    return static_cast<int64_t>(a.size() + b.size());
  }
  int64_t count = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    count += std::bit_cast<uint32_t>(a[i]) != std::bit_cast<uint32_t>(b[i]) ? 1 : 0;
  }
  return count;
}

inline int64_t differing_bits(const Tensor& a, const Tensor& b) {
  return differing_bits(a.values<const float>(), b.values<const float>());
}

}  // namespace longship::conformance
