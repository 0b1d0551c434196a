#pragma once

// Arithmetic that the host's sampler has as well, the same bits: engine/sample/row_summary.cc, core/exp.h, core/rng.h.

#include "cuda/device.h"

namespace longship::cuda {

/// Of x in [-87, 0], as in the sums of engine/sample/row_summary.cc.
__device__ __forceinline__ float exp_in_sum(float x) {
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
  return p * __int_as_float((static_cast<int>(n) + 127) * (1 << 23));
}

/// As in core/exp.h.
__device__ __forceinline__ double exp_of_negative(double x) {
  constexpr double kLowest = -708.0;
  if (!(x > kLowest)) {
    return 0;
  }
  constexpr double kRounder = 0x1.8p52;
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
  return p * __longlong_as_double((static_cast<long long>(n) + 1023) << 52);
}

/// Philox4x32-10: the number in [0, 1) that belongs to a seed, a choice and the index of a token.
__device__ __forceinline__ double philox_uniform(uint64_t seed, uint32_t choice, uint64_t index) {
  uint32_t counter[4] = {static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), choice, 0};
  uint32_t key[2] = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = static_cast<uint64_t>(0xD2511F53U) * counter[0];
    const uint64_t b = static_cast<uint64_t>(0xCD9E8D57U) * counter[2];
    const uint32_t first = static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0];
    const uint32_t third = static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1];
    counter[0] = first;
    counter[1] = static_cast<uint32_t>(b);
    counter[2] = third;
    counter[3] = static_cast<uint32_t>(a);
    key[0] += 0x9E3779B9U;
    key[1] += 0xBB67AE85U;
  }
  const uint64_t bits = (static_cast<uint64_t>(counter[0]) << 32 | counter[1]) >> 11;
  return static_cast<double>(bits) * 0x1.0p-53;
}

}  // namespace longship::cuda
