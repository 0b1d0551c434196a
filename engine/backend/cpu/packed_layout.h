#pragma once

#include "core/thread_pool.h"
#include "engine/backend/cpu/isa.h"
#include "engine/backend/kernels.h"

namespace longship::cpu {

/// The layout of weights stored as `dtype`. Exact: block-quantised types become f32; plain types stay as they are,
/// since their values are converted exactly anyway. Otherwise the integers stay as they are, and scales that were
/// products are rounded to f16 (by at most one part in 2048); of Q2_K, which has no such layout, the values are.
Layout layout_of(DType dtype, bool exact);

int64_t row_block_bytes(Layout layout, int64_t columns);
inline int64_t row_blocks(int64_t rows) {
  return (rows + kLanes - 1) / kLanes;
}

/// Packs `stored` as rows from `first_row` on of a weight at `data`; rows that fill up the last row block have
/// scales, or values, of zero.
void pack_rows(const StoredMatrix& stored, int64_t first_row, Layout layout, std::byte* data, const Isa& isa,
               ThreadPool& pool);

}  // namespace longship::cpu
