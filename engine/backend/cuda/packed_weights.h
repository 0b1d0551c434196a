#pragma once

#include "core/thread_pool.h"
#include "engine/backend/cuda/kernels/linear.h"
#include "engine/backend/kernels.h"

namespace longship::cuda {

/// The layout of weights stored as `dtype`. Plain types stay as they are, and so do the integers and f16 scales of
/// block-quantised ones. Scales that are products (K formats) are rounded to f16, by at most one part in 2048; of Q2_K,
/// which has no layout of its own, the values are. Exact: these types become f32 instead.
WeightLayout layout_of(DType dtype, bool exact);

int64_t row_block_bytes(WeightLayout layout, int64_t columns);
int64_t packed_bytes(WeightLayout layout, int64_t rows, int64_t columns);

/// Packs whole row blocks from row 0 of `stored` on; rows that fill up the last one are zero.
void pack_rows(const StoredMatrix& stored, WeightLayout layout, std::byte* out, ThreadPool& pool);

}  // namespace longship::cuda
