#pragma once

// Functions of one value and over a warp, the same bits from every compiler.

#include "cuda/block_sum.h"
#include "cuda/device.h"

namespace longship::cuda {

/// e^x within 2 units in the last place for x in [-87.3, 88.3]; 0 below, e^88.3 above, NaN for NaN.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2; e^r = 1 + r + r^2 p(r), p interpolated at Chebyshev points.
__device__ __forceinline__ float exponential(float x) {
  constexpr float kLowest = -87.33F;
  constexpr float kHighest = 88.3F;
  const float clamped = fminf(kHighest, fmaxf(kLowest, x));
  const float whole = rintf(clamped * 0x1.715476p+0F);
  float r = fmaf(-whole, 0x1.62e4p-1F, clamped);
  r = fmaf(-whole, 0x1.7f7d1cp-20F, r);
  float p = fmaf(0x1.6d10fcp-10F, r, 0x1.120b62p-7F);
  p = fmaf(p, r, 0x1.55551ap-5F);
  p = fmaf(p, r, 0x1.5554dep-3F);
  p = fmaf(p, r, 0.5F);
  p = fmaf(p, r * r, r) + 1.0F;
  const float result = p * __uint_as_float(static_cast<unsigned>(static_cast<int>(whole) + 127) << 23U);
  return x < kLowest ? 0.0F : (x == x ? result : x);
}

/// x times the logistic function of y.
__device__ __forceinline__ float times_logistic(float x, float y) {
  return x / (1.0F + exponential(-y));
}

__device__ __forceinline__ float warp_max(float value) {
  for (int step = kWarp / 2; step > 0; step /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kFullMask, value, step));
  }
  return value;
}

/// Values i and i + Dh / 2 of a head rotated by an angle (see Kernels::rope).
__device__ __forceinline__ void rotate(float a, float b, float cos, float sin, float& first, float& second) {
  first = fmaf(a, cos, -(b * sin));
  second = fmaf(b, cos, a * sin);
}

}  // namespace longship::cuda
