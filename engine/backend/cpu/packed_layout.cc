#include "engine/backend/cpu/packed_layout.h"

#include <algorithm>
#include <cstring>

#include "engine/weights/blocks.h"

namespace longship::cpu {

namespace {

// Scales, and minima, of one run of blocks.
constexpr int64_t kScaleBytes = 64;

int64_t plain_value_bytes(Layout layout) {
  return layout == Layout::kF32 ? 4 : 2;
}

// Scales and minima come first in a stored block and are f16.
int64_t scales_per_block(Layout layout) {
  return layout == Layout::kQ4_1 ? 2 : 1;
}
int64_t words_per_block(Layout layout) {
  return layout == Layout::kQ8_0 ? 8 : 4;
}

int64_t quant_bytes(Layout layout) {
  return words_per_block(layout) * 4 * kLanes;
}

int64_t blocks_per_run(Layout layout) {
  return 2 / scales_per_block(layout);
}

int64_t run_bytes(Layout layout) {
  return kScaleBytes + blocks_per_run(layout) * quant_bytes(layout);
}

// One row of 32 columns or fewer from column k on, into lane `lane`.
void pack_plain(const StoredMatrix& stored, const std::byte* row, int64_t k, Layout layout, std::byte* lane) {
  const int64_t columns = std::min(kBlock, stored.columns - k);
  const std::byte* values = row + bytes_of(stored.dtype, k);
  float dequantised[kBlock];
  if (layout == Layout::kF32) {
    dequantize(stored.dtype, values, columns, dequantised);
    values = reinterpret_cast<const std::byte*>(dequantised);
  }
  const auto bytes = static_cast<std::size_t>(plain_value_bytes(layout));
  for (int64_t i = 0; i < columns; ++i) {
    std::memcpy(lane + (k + i) * kLanes * static_cast<int64_t>(bytes), values + i * static_cast<int64_t>(bytes), bytes);
  }
}

// The stored block of 32 columns number `index` of a row into lane `lane` of its row block.
void pack_quantised(const std::byte* block, int64_t index, Layout layout, int64_t lane, std::byte* row_block) {
  const int64_t scales = scales_per_block(layout);
  const int64_t in_run = index % blocks_per_run(layout);
  std::byte* run = row_block + index / blocks_per_run(layout) * run_bytes(layout);
  for (int64_t i = 0; i < scales; ++i) {
    std::memcpy(run + ((in_run * scales + i) * kLanes + lane) * 2, block + 2 * i, 2);
  }
  std::byte* quants = run + kScaleBytes + in_run * quant_bytes(layout);
  for (int64_t step = 0; step < words_per_block(layout); ++step) {
    uint32_t word;
    std::memcpy(&word, block + 2 * scales + 4 * step, 4);
    if (layout == Layout::kQ8_0) {
      word ^= 0x80808080U;
    }
    std::memcpy(quants + (step * kLanes + lane) * 4, &word, 4);
  }
}

void pack_row_block(const StoredMatrix& stored, int64_t first_row, Layout layout, std::byte* row_block) {
  const int64_t rows = std::min(kLanes, stored.rows - first_row);
  std::memset(row_block, 0, static_cast<std::size_t>(row_block_bytes(layout, stored.columns)));
  const int64_t stored_block_bytes = bytes_of(stored.dtype, info(stored.dtype).block_values);
  for (int64_t k = 0; k < stored.columns; k += kBlock) {
    for (int64_t lane = 0; lane < rows; ++lane) {
      const std::byte* row = stored.data + (first_row + lane) * stored.row_bytes();
      if (is_quantised(layout)) {
        const int64_t index = k / kBlock;
        pack_quantised(row + index * stored_block_bytes, index, layout, lane, row_block);
      } else {
        pack_plain(stored, row, k, layout, row_block + lane * plain_value_bytes(layout));
      }
    }
  }
}

}  // namespace

bool is_quantised(Layout layout) {
  return layout == Layout::kQ8_0 || layout == Layout::kQ4_0 || layout == Layout::kQ4_1;
}

Layout layout_of(DType dtype, bool exact) {
  switch (dtype) {
    case DType::kF16:
      return Layout::kF16;
    case DType::kBF16:
      return Layout::kBF16;
    case DType::kQ8_0:
      return exact ? Layout::kF32 : Layout::kQ8_0;
    case DType::kQ4_0:
      return exact ? Layout::kF32 : Layout::kQ4_0;
    case DType::kQ4_1:
      return exact ? Layout::kF32 : Layout::kQ4_1;
    case DType::kF32:
    case DType::kI32:
    case DType::kU8:
      break;
  }
  return Layout::kF32;
}

int64_t row_block_bytes(Layout layout, int64_t columns) {
  if (is_quantised(layout)) {
    const int64_t blocks = columns / kBlock;
    return (blocks + blocks_per_run(layout) - 1) / blocks_per_run(layout) * run_bytes(layout);
  }
  return columns * kLanes * plain_value_bytes(layout);
}

void pack_rows(const StoredMatrix& stored, int64_t first_row, Layout layout, std::byte* data, ThreadPool& pool) {
  const int64_t bytes = row_block_bytes(layout, stored.columns);
  std::byte* first = data + first_row / kLanes * bytes;
  pool.parallel_for(row_blocks(stored.rows), 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      pack_row_block(stored, block * kLanes, layout, first + block * bytes);
    }
  });
}

}  // namespace longship::cpu
