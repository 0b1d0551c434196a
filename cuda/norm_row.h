#pragma once

// The norm of a row by a block of threads, for kernels that have something else to do with the row at once.

#include <cstdint>

#include "cuda/block_sum.h"
#include "cuda/launch.h"
#include "cuda/row_norm.h"

namespace longship::cuda {

inline constexpr int kMostNormThreads = 512;
inline constexpr int kMostNormWarps = kMostNormThreads / kWarp;
/// Values of a row that a thread holds, where the row is no wider than so many for each.
inline constexpr int kNormHeld = 8;

/// How many threads add up a row depends on its width alone, and so do the sum's bits.
inline int norm_threads(int width) {
  const int wanted = (width / kNormHeld + kWarp - 1) / kWarp * kWarp;
  return wanted < kWarp ? kWarp : (wanted > kMostNormThreads ? kMostNormThreads : wanted);
}

/// One block of norm_threads() a row.
inline LaunchShape norm_shape(unsigned blocks, int width, StreamHandle stream) {
  return {.grid = {blocks},
          .block = {static_cast<unsigned>(norm_threads(width))},
          .shared_bytes = shared_bytes<float>(kMostNormWarps),
          .stream = stream};
}

/// The norm of a row whose values a block's threads hold: all is read before anything is written.
template <class Value, class Keep, class Out>
__device__ __forceinline__ void norm_held_row(const RowNorm& norm, const Value& value, const Keep& keep, const Out& out,
                                              Shared<float> sums) {
  const int begin = static_cast<int>(threadIdx.x);
  const int step = static_cast<int>(blockDim.x);
  const float width = static_cast<float>(norm.width);
  float values[kNormHeld];
  float gains[kNormHeld];
#pragma unroll
  for (int k = 0; k < kNormHeld; ++k) {
    const int i = begin + k * step;
    values[k] = i < norm.width ? value(i) : 0.0F;
    gains[k] = i < norm.width ? norm.gain[i] : 0.0F;
  }
#pragma unroll
  for (int k = 0; k < kNormHeld; ++k) {
    if (begin + k * step < norm.width) {
      keep(begin + k * step, values[k]);
    }
  }
  float sum = 0;
  float mean = 0;
  if (norm.bias != nullptr) {
#pragma unroll
    for (int k = 0; k < kNormHeld; ++k) {
      sum = sum + values[k];
    }
    mean = block_sum(sum, sums) / width;
    sum = 0;
  }
#pragma unroll
  for (int k = 0; k < kNormHeld; ++k) {
    const float centred = begin + k * step < norm.width ? values[k] - mean : 0.0F;
    sum = fmaf(centred, centred, sum);
  }
  const float scale = 1.0F / sqrtf(block_sum(sum, sums) / width + norm.eps);
#pragma unroll
  for (int k = 0; k < kNormHeld; ++k) {
    const int i = begin + k * step;
    if (i < norm.width) {
      out[i] = norm.bias == nullptr ? values[k] * scale * gains[k]
                                    : fmaf((values[k] - mean) * scale, gains[k], norm.bias[i]);
    }
  }
}

/// out[i] = value i of the norm of `row`, in memory of the device; may be the row itself. value(i) is value i of it and
/// keep(i, value) puts it into the row where it is not there yet: each called once by one thread. `sums` has
/// kMostNormWarps values.
template <class Value, class Keep, class Out>
__device__ __forceinline__ void norm_row(const RowNorm& norm, const float* row, const Value& value, const Keep& keep,
                                         const Out& out, Shared<float> sums) {
  const int begin = static_cast<int>(threadIdx.x);
  const int step = static_cast<int>(blockDim.x);
  if (norm.width <= kNormHeld * step) {
    norm_held_row(norm, value, keep, out, sums);
    return;
  }
  const auto take = [&](int i) {
    const float taken = value(i);
    keep(i, taken);
    return taken;
  };
  const float width = static_cast<float>(norm.width);
  float sum = 0;
  if (norm.bias == nullptr) {
    for (int i = begin; i < norm.width; i += step) {
      const float taken = take(i);
      sum = fmaf(taken, taken, sum);
    }
    const float scale = 1.0F / sqrtf(block_sum(sum, sums) / width + norm.eps);
    for (int i = begin; i < norm.width; i += step) {
      out[i] = row[i] * scale * norm.gain[i];
    }
    return;
  }
  for (int i = begin; i < norm.width; i += step) {
    sum = sum + take(i);
  }
  const float mean = block_sum(sum, sums) / width;
  float squares = 0;
  for (int i = begin; i < norm.width; i += step) {
    const float centred = row[i] - mean;
    squares = fmaf(centred, centred, squares);
  }
  const float scale = 1.0F / sqrtf(block_sum(squares, sums) / width + norm.eps);
  for (int i = begin; i < norm.width; i += step) {
    out[i] = fmaf((row[i] - mean) * scale, norm.gain[i], norm.bias[i]);
  }
}

}  // namespace longship::cuda
