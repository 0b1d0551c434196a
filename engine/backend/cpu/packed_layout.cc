#include "engine/backend/cpu/packed_layout.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>

#include "core/half.h"
#include "engine/weights/blocks.h"
#include "engine/weights/fp4.h"
#include "engine/weights/quants.h"

namespace longship::cpu {

namespace {

int64_t plain_value_bytes(Layout layout) {
  return layout == Layout::kF32 ? 4 : 2;
}

// Columns [k, k + 32) of one row, or what there is of them, into lane `lane` of its row block.
void pack_plain(const StoredMatrix& stored, int64_t row, int64_t k, Layout layout, int64_t lane, std::byte* row_block) {
  const Range columns = stored.in_blocks({k, std::min(k + kBlock, stored.columns)});
  const int64_t bytes = plain_value_bytes(layout);
  const std::byte* values = stored.row(row) + columns.begin * bytes;  // for types that stay as they are
  float dequantised[kBlock];
  uint16_t halves[kBlock];
  if (layout == Layout::kF32 || is_block_quantised(stored.dtype)) {
    dequantize_columns(stored.dtype, stored.row(row), columns, dequantised);
    values = reinterpret_cast<const std::byte*>(dequantised);
  }
  if (layout == Layout::kF16 && is_block_quantised(stored.dtype)) {
    std::transform(dequantised, dequantised + columns.size(), halves, f32_to_f16);
    values = reinterpret_cast<const std::byte*>(halves);
  }
  std::byte* to = row_block + (k * kLanes + lane) * bytes;
  for (int64_t i = 0; i < columns.size(); ++i) {
    std::memcpy(to + i * kLanes * bytes, values + i * bytes, static_cast<std::size_t>(bytes));
  }
}

// 32 integers, four a word.
using Words = std::array<uint32_t, 8>;

void put_word(uint32_t word, int64_t step, int64_t lane, std::byte* out) {
  std::memcpy(out + (step * kLanes + lane) * 4, &word, sizeof(word));
}

// Low four bits of each, two to a byte.
void pack_nibbles(const Words& words, int64_t lane, std::byte* out) {
  for (std::size_t step = 0; step < 4; ++step) {
    const uint32_t high = (words[step + 4] & 0x0f0f0f0fU) << 4U;
    put_word((words[step] & 0x0f0f0f0fU) | high, static_cast<int64_t>(step), lane, out);
  }
}

// Bit 4 of 32 integers, in one word.
void pack_fifth_bits(const Words& words, int64_t lane, std::byte* out) {
  uint32_t bits = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    bits |= ((words[i] >> 4U) & 0x01010101U) << static_cast<uint32_t>(i);
  }
  put_word(bits, 4, lane, out);
}

// Bits 4 and 5, in a word for the low nibbles' columns and one for the high ones'.
void pack_high_pairs(const Words& words, int64_t lane, std::byte* out) {
  uint32_t pairs[2] = {0, 0};
  for (std::size_t i = 0; i < 8; ++i) {
    pairs[i / 4] |= ((words[i] >> 4U) & 0x03030303U) << static_cast<uint32_t>(2 * (i % 4));
  }
  put_word(pairs[0], 4, lane, out);
  put_word(pairs[1], 5, lane, out);
}

// Integers of MXFP4 back to the nibbles that number them. Zero has two, of which the first is taken.
void number_fp4(uint8_t* quants) {
  for (int64_t i = 0; i < kBlock; ++i) {
    quants[i] = static_cast<uint8_t>(std::ranges::find(kFp4Integers, quants[i]) - std::begin(kFp4Integers));
  }
}

// Above the largest f16 there is none that is near.
uint16_t scale_bits(float scale) {
  constexpr float kLargest = 65504.0F;
  return f32_to_f16(std::clamp(scale, -kLargest, kLargest));
}

// What packing a matrix in a layout of integers needs to know.
struct QuantPacking {
  UnpackQuants unpack;
  int64_t block_bytes;
  int64_t runs;  ///< Of 32 columns in a stored block.
  BlockShape shape;
  uint32_t lift;  ///< Types with fewer bits than their layout stand in the middle of its range.
};

QuantPacking packing_of(DType dtype, Layout layout) {
  const BlockShape shape = block_shape(layout);
  const int lift = shape.offset - quant_offset(dtype);
  return {quant_unpacker(dtype), info(dtype).block_bytes, info(dtype).block_values / kQuantColumns, shape,
          static_cast<uint32_t>(lift) * 0x01010101U};
}

void pack_quants(Quants& block, const QuantPacking& packing, int64_t index, int64_t lane, std::byte* row_block) {
  const BlockShape& shape = packing.shape;
  const int64_t in_run = index % shape.blocks_per_run();
  std::byte* run = row_block + index / shape.blocks_per_run() * shape.run_bytes();
  const uint16_t scales[2] = {scale_bits(block.scale[0]),
                              scale_bits(shape.minimum ? block.minimum[0] : block.scale[1])};
  for (int64_t i = 0; i < shape.scales; ++i) {
    std::memcpy(run + ((in_run * shape.scales + i) * kLanes + lane) * 2, &scales[i], 2);
  }
  if (shape.table) {
    number_fp4(block.quants);
  }
  Words words;
  std::memcpy(words.data(), block.quants, sizeof(words));
  for (uint32_t& word : words) {
    word += packing.lift;
  }
  std::byte* quants = run + 64 + in_run * shape.quant_bytes();
  if (shape.bits == 8) {
    for (std::size_t step = 0; step < 8; ++step) {
      put_word(words[step], static_cast<int64_t>(step), lane, quants);
    }
    return;
  }
  pack_nibbles(words, lane, quants);
  if (shape.bits == 5) {
    pack_fifth_bits(words, lane, quants);
  } else if (shape.bits == 6) {
    pack_high_pairs(words, lane, quants);
  }
}

void pack_quantised(const StoredMatrix& stored, int64_t first_row, int64_t rows, Layout layout, std::byte* row_block) {
  const QuantPacking packing = packing_of(stored.dtype, layout);
  Quants block;
  for (int64_t k = 0; k < stored.columns; k += kBlock) {
    const int64_t index = (stored.skip + k) / kBlock;
    const int64_t offset = index / packing.runs * packing.block_bytes;
    for (int64_t lane = 0; lane < rows; ++lane) {
      packing.unpack(stored.row(first_row + lane) + offset, static_cast<int>(index % packing.runs), block);
      pack_quants(block, packing, k / kBlock, lane, row_block);
    }
  }
}

void pack_row_block(const StoredMatrix& stored, int64_t first_row, Layout layout, std::byte* row_block) {
  const int64_t rows = std::min(kLanes, stored.rows - first_row);
  std::memset(row_block, 0, static_cast<std::size_t>(row_block_bytes(layout, stored.columns)));
  if (is_quantised(layout)) {
    pack_quantised(stored, first_row, rows, layout, row_block);
    return;
  }
  for (int64_t k = 0; k < stored.columns; k += kBlock) {
    for (int64_t lane = 0; lane < rows; ++lane) {
      pack_plain(stored, first_row + lane, k, layout, lane, row_block);
    }
  }
}

}  // namespace

Layout layout_of(DType dtype, bool exact) {
  if (exact && is_block_quantised(dtype)) {
    return Layout::kF32;
  }
  switch (dtype) {
    case DType::kF16:
    case DType::kQ2_K:  // a minimum for each 16 columns, as no other type has
      return Layout::kF16;
    case DType::kBF16:
      return Layout::kBF16;
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
