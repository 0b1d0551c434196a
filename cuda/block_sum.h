#pragma once

// Sums over a warp or a block, the same bits from every compiler.

#include "cuda/device.h"

namespace longship::cuda {

/// The sum of a warp's lanes, by halves: lane i and i xor 16, then 8, 4, 2, 1. Every lane gets it.
__device__ __forceinline__ float warp_sum(float value) {
  for (int step = kWarp / 2; step > 0; step /= 2) {
    value = value + __shfl_xor_sync(kFullMask, value, step);
  }
  return value;
}

/// The sum over a block: of each warp, then of the warps in order. `sums` has a value for each warp. Every thread gets
/// it.
__device__ __forceinline__ float block_sum(float value, Shared<float> sums) {
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  value = warp_sum(value);
  __syncthreads();  // the sums of a call before are read
  if (threadIdx.x % kWarp == 0) {
    sums[threadIdx.x / kWarp] = value;
  }
  __syncthreads();
  float total = sums[0];
  for (int warp = 1; warp < warps; ++warp) {
    total = total + sums[warp];
  }
  return total;
}

}  // namespace longship::cuda
