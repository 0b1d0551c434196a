#pragma once

#include "cuda/row_norm.h"
#include "engine/backend/cuda/kernels/elementwise.h"

namespace longship::cuda {

/// See Kernels::rms_norm, layer_norm, add_norm and rms_norm_heads.
void launch_norm(const float* x, const RowNorm& norm, int64_t rows, float* y, StreamHandle stream);
/// `bias` may be null; rows of `hidden` and `normed` as of `x`.
void launch_add_norm(const float* x, const float* bias, const RowNorm& norm, int64_t rows, float* hidden,
                     const ValuesOut& normed, StreamHandle stream);
void launch_rms_norm_heads(const HeadRows& x, const float* gain, float eps, StreamHandle stream);

}  // namespace longship::cuda
