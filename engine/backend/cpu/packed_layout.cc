#include "engine/backend/cpu/packed_layout.h"

#include <algorithm>
#include <cstring>

#include "core/half.h"
#include "engine/weights/blocks.h"

namespace longship::cpu {

namespace {

int64_t plain_value_bytes(Layout layout) {
  return layout == Layout::kF32 ? 4 : 2;
}

// Columns [k, k + 32) of one row, or what there is of them, into lane `lane` of its row block.
void pack_plain(const StoredMatrix& stored, int64_t row, int64_t k, Layout layout, int64_t lane, std::byte* row_block) {
  const Range columns = {k, std::min(k + kBlock, stored.columns)};
  const int64_t bytes = plain_value_bytes(layout);
  const bool converted = is_block_quantised(stored.dtype) || stored.dtype == DType::kF8_E4M3;
  const std::byte* values = stored.row(row) + columns.begin * bytes;  // for types that stay as they are
  float dequantised[kBlock];
  uint16_t halves[kBlock];
  if (layout == Layout::kF32 || converted) {
    stored.dequantise(row, columns, dequantised);
    values = reinterpret_cast<const std::byte*>(dequantised);
  }
  if (layout == Layout::kF16 && converted) {
    std::transform(dequantised, dequantised + columns.size(), halves, f32_to_f16);
    values = reinterpret_cast<const std::byte*>(halves);
  }
  const int64_t run = layout == Layout::kBF16Pairs ? 2 : 1;  // columns of a row that stand side by side
  std::byte* to = row_block + (k * kLanes + lane * run) * bytes;
  for (int64_t i = 0; i < columns.size(); ++i) {
    std::memcpy(to + (i / run * run * kLanes + i % run) * bytes, values + i * bytes, static_cast<std::size_t>(bytes));
  }
}

// One row block whose values, or integers, stay as they are.
void pack_whole(const StoredMatrix& stored, int64_t first_row, int row_count, Layout layout, const Isa& isa,
                std::byte* row_block) {
  PackTask task{.type = stored.dtype,
                .layout = layout,
                .rows = {},
                .row_count = row_count,
                .block_bytes = info(stored.dtype).block_bytes,
                .skip = stored.skip,
                .columns = stored.columns};
  for (int lane = 0; lane < row_count; ++lane) {
    task.rows[lane] = stored.row(first_row + lane);
  }
  isa.pack_row_block(task, row_block);
}

void pack_row_block(const StoredMatrix& stored, int64_t first_row, Layout layout, const Isa& isa,
                    std::byte* row_block) {
  const auto rows = static_cast<int>(std::min(kLanes, stored.rows - first_row));
  const bool stays = !is_block_quantised(stored.dtype) && bytes_of(stored.dtype, 1) == plain_value_bytes(layout);
  if (is_quantised(layout) || (stays && rows == kLanes && stored.columns % kBlock == 0)) {
    pack_whole(stored, first_row, rows, layout, isa, row_block);
    return;
  }
  if (rows < kLanes || stored.columns % 2 != 0) {
    std::memset(row_block, 0, static_cast<std::size_t>(row_block_bytes(layout, stored.columns)));
  }
  for (int64_t k = 0; k < stored.columns; k += kBlock) {
    for (int64_t lane = 0; lane < rows; ++lane) {
      pack_plain(stored, first_row + lane, k, layout, lane, row_block);
    }
  }
}

}  // namespace

Layout layout_of(DType dtype, bool exact) {
  if (exact && (is_block_quantised(dtype) || dtype == DType::kF8_E4M3)) {
    return Layout::kF32;
  }
  switch (dtype) {
    case DType::kF16:
    case DType::kF8_E4M3:
    case DType::kQ2_K:  // a minimum for each 16 columns, as no other type has
      return Layout::kF16;
    case DType::kBF16:
      return exact ? Layout::kBF16 : Layout::kBF16Pairs;
    case DType::kQ8_0:
    case DType::kIQ4_NL:
      return Layout::kByte;
    case DType::kQ4_0:
      return Layout::kNibble;
    case DType::kQ4_1:
    case DType::kQ4_K:
      return Layout::kNibbleMin;
    case DType::kMXFP4:
      return Layout::kNibbleFp4;
    case DType::kQ5_0:
      return Layout::kFive;
    case DType::kQ5_1:
    case DType::kQ5_K:
      return Layout::kFiveMin;
    case DType::kQ6_K:
    case DType::kQ3_K:
      return Layout::kSix;
    case DType::kF32:
    case DType::kI32:
    case DType::kU8:
      break;
  }
  return Layout::kF32;
}

int64_t row_block_bytes(Layout layout, int64_t columns) {
  if (is_quantised(layout)) {
    const BlockShape shape = block_shape(layout);
    const int64_t blocks = columns / kBlock;
    return (blocks + shape.blocks_per_run() - 1) / shape.blocks_per_run() * shape.run_bytes();
  }
  const int64_t stored_columns = layout == Layout::kBF16Pairs ? 2 * pairs_of(columns) : columns;
  return stored_columns * kLanes * plain_value_bytes(layout);
}

void pack_rows(const StoredMatrix& stored, int64_t first_row, Layout layout, std::byte* data, const Isa& isa,
               ThreadPool& pool) {
  const int64_t bytes = row_block_bytes(layout, stored.columns);
  std::byte* first = data + first_row / kLanes * bytes;
  pool.parallel_for(row_blocks(stored.rows), 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      pack_row_block(stored, block * kLanes, layout, isa, first + block * bytes);
    }
  });
}

}  // namespace longship::cpu
