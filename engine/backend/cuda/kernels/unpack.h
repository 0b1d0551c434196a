#pragma once

#include "engine/backend/cuda/kernels/linear.h"

namespace longship::cuda {

/// Rows of a packed weight of no plain type one after the other, [rows, columns], rounded to bf16. `data` begins with a
/// row block; `columns` is a multiple of kBlockColumns; `out` is aligned to 16 bytes.
void launch_unpack(WeightLayout layout, const std::byte* data, int64_t row_block_bytes, int rows, int columns,
                   void* out, StreamHandle stream);

}  // namespace longship::cuda
