#pragma once

#include "engine/backend/cuda/kernels/elementwise.h"

namespace longship::cuda {

/// See Kernels::rms_norm, layer_norm and rms_norm_heads.
void launch_rms_norm(const float* x, const float* gain, float eps, int64_t rows, int width, float* y,
                     StreamHandle stream);
void launch_layer_norm(const float* x, const float* gain, const float* bias, float eps, int64_t rows, int width,
                       float* y, StreamHandle stream);
void launch_rms_norm_heads(const HeadRows& x, const float* gain, float eps, StreamHandle stream);

}  // namespace longship::cuda
