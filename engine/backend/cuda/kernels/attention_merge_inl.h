#pragma once

// The merge of attention's chunks as a binary counter does, in the order of engine/backend/attention_merge.h.

#include "engine/backend/cuda/kernels/math.h"

namespace longship::cuda {

/// A maximum of -1 x infinity and this sum: no key was seen. Sums are not negative.
inline constexpr float kNoSum = -1.0F;

/// One value of an output sum of exp(score - maximum) v, and what belongs to it.
struct MergeValue {
  float maximum = -__builtin_inff();
  float sum = kNoSum;
  float out = 0;
};

__device__ __forceinline__ MergeValue merge(const MergeValue& older, const MergeValue& newer) {
  if (older.sum == kNoSum) {
    return newer;
  }
  if (newer.sum == kNoSum) {
    return older;
  }
  const float maximum = fmaxf(older.maximum, newer.maximum);
  const float a = exponential(older.maximum - maximum);
  const float b = exponential(newer.maximum - maximum);
  return {maximum, fmaf(older.sum, a, newer.sum * b), fmaf(older.out, a, newer.out * b)};
}

}  // namespace longship::cuda
