#pragma once

#include "engine/backend/cuda/kernels/linear.h"

namespace longship::cuda {

/// Rows of a packed weight one after the other, [rows, columns]: as f32 of WeightLayout::kF32, rounded to bf16 of the
/// others. `data` begins with a row block; `columns` is a multiple of kBlockColumns; `out` is aligned to 16 bytes.
void launch_unpack(WeightLayout layout, const std::byte* data, int64_t row_block_bytes, int rows, int columns,
                   void* out, StreamHandle stream);

/// Values rounded to bf16.
void launch_to_bf16(const float* x, int64_t count, void* out, StreamHandle stream);

}  // namespace longship::cuda
