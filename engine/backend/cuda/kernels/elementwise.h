#pragma once

#include <cstdint>

#include "cuda/api.h"
#include "engine/backend/cuda/kernels/narrow.h"

namespace longship::cuda {

/// Heads inside rows: `heads` x `head_dim` values from `first` on, rows `stride` values apart.
struct HeadRows {
  float* first = nullptr;
  int64_t stride = 0;
  int64_t rows = 0;
  int heads = 0;
  int head_dim = 0;
};

/// Sums of `most` rows each: see Kernels::weighted_sum().
struct WeightedSum {
  const float* x = nullptr;         ///< [P, width]
  const int32_t* places = nullptr;  ///< [rows, most], as the weights
  const float* weights = nullptr;
  int64_t rows = 0;
  int64_t width = 0;
  int64_t most = 0;
};

// See the operations of the same names in Kernels. All values are of the device, rows without gaps.
/// y = residual + (x + bias); bias and residual may be null.
void launch_add(const float* x, const float* bias, const float* residual, int64_t rows, int64_t width, float* y,
                StreamHandle stream);
/// x f32 or bf16.
void launch_silu_mul(const ValuesIn& x, int64_t rows, int64_t width, const ValuesOut& y, StreamHandle stream);
void launch_gelu_tanh(const float* x, int64_t count, float* y, StreamHandle stream);
void launch_weighted_sum(const WeightedSum& task, float* y, StreamHandle stream);
void launch_gather_rows(const float* x, const int32_t* rows, int64_t count, int64_t width, float* y,
                        StreamHandle stream);
void launch_rope(const HeadRows& x, const float* cos, const float* sin, StreamHandle stream);

}  // namespace longship::cuda
