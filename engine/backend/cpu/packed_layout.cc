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
  std::byte* to = row_block + (k * kLanes + lane) * bytes;
  for (int64_t i = 0; i < columns.size(); ++i) {
    std::memcpy(to + i * kLanes * bytes, values + i * bytes, static_cast<std::size_t>(bytes));
  }
}

// Eight words of each row of a row block, turned: those of one step side by side.
using Words = std::array<std::array<uint32_t, kLanes>, 8>;
using FourWords = uint32_t __attribute__((vector_size(16)));

// row(lane): where the eight words of a row are.
template <class Row>
void turn(const Row& row, Words& words) {
  for (std::size_t lane = 0; lane < kLanes; lane += 4) {
    for (std::size_t first = 0; first < 8; first += 4) {
      std::array<FourWords, 4> of_row;
      for (std::size_t i = 0; i < 4; ++i) {
        std::memcpy(&of_row[i], row(lane + i) + first * 4, sizeof(FourWords));
      }
      const FourWords low_a = __builtin_shufflevector(of_row[0], of_row[1], 0, 4, 1, 5);
      const FourWords low_b = __builtin_shufflevector(of_row[2], of_row[3], 0, 4, 1, 5);
      const FourWords high_a = __builtin_shufflevector(of_row[0], of_row[1], 2, 6, 3, 7);
      const FourWords high_b = __builtin_shufflevector(of_row[2], of_row[3], 2, 6, 3, 7);
      const std::array<FourWords, 4> of_step = {
          __builtin_shufflevector(low_a, low_b, 0, 1, 4, 5), __builtin_shufflevector(low_a, low_b, 2, 3, 6, 7),
          __builtin_shufflevector(high_a, high_b, 0, 1, 4, 5), __builtin_shufflevector(high_a, high_b, 2, 3, 6, 7)};
      for (std::size_t i = 0; i < 4; ++i) {
        std::memcpy(&words[first + i][lane], &of_step[i], sizeof(FourWords));
      }
    }
  }
}

// Columns [k, k + 32) of 16 rows whose values stay as they are stored.
void pack_plain_block(const StoredMatrix& stored, int64_t first_row, int64_t k, int64_t bytes, std::byte* row_block) {
  const int64_t column = stored.in_blocks({k, k + kBlock}).begin;
  std::byte* out = row_block + k * kLanes * bytes;
  Words words;
  for (int64_t first = 0; first < kBlock * bytes; first += 32) {
    turn([&](std::size_t lane) { return stored.row(first_row + static_cast<int64_t>(lane)) + column * bytes + first; },
         words);
    if (bytes == 4) {
      std::memcpy(out + first * kLanes, words.data(), sizeof(words));
      continue;
    }
    uint16_t halves[8][2][kLanes];  // a word holds the values of two columns
    for (std::size_t step = 0; step < 8; ++step) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        halves[step][0][lane] = static_cast<uint16_t>(words[step][lane]);
        halves[step][1][lane] = static_cast<uint16_t>(words[step][lane] >> 16U);
      }
    }
    std::memcpy(out + first * kLanes, halves, sizeof(halves));
  }
}

// Writes word(row) for every row.
template <class Word>
void put_words(std::byte* out, int64_t step, const Word& word) {
  uint32_t words[kLanes];
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    words[lane] = word(lane);
  }
  std::memcpy(out + step * kLanes * 4, words, sizeof(words));
}

// Low four bits of each, two to a byte.
void pack_nibbles(const Words& words, std::byte* out) {
  for (std::size_t step = 0; step < 4; ++step) {
    put_words(out, static_cast<int64_t>(step), [&](std::size_t lane) {
      return (words[step][lane] & 0x0f0f0f0fU) | (words[step + 4][lane] & 0x0f0f0f0fU) << 4U;
    });
  }
}

// Bit 4 of 32 integers, in one word.
void pack_fifth_bits(const Words& words, std::byte* out) {
  put_words(out, 4, [&](std::size_t lane) {
    uint32_t bits = 0;
    for (std::size_t i = 0; i < 8; ++i) {
      bits |= ((words[i][lane] >> 4U) & 0x01010101U) << static_cast<uint32_t>(i);
    }
    return bits;
  });
}

// Bits 4 and 5, in a word for the low nibbles' columns and one for the high ones'.
void pack_high_pairs(const Words& words, std::byte* out) {
  for (std::size_t half = 0; half < 2; ++half) {
    put_words(out, static_cast<int64_t>(4 + half), [&](std::size_t lane) {
      uint32_t pairs = 0;
      for (std::size_t i = 0; i < 4; ++i) {
        pairs |= ((words[4 * half + i][lane] >> 4U) & 0x03030303U) << static_cast<uint32_t>(2 * i);
      }
      return pairs;
    });
  }
}

// Integers of MXFP4 back to the nibbles that number them. Zero has two, of which the first is taken.
void number_fp4(Quants& block) {
  static const auto kNumbers = [] {
    std::array<uint8_t, 256> numbers{};
    for (std::size_t i = 16; i-- > 0;) {
      numbers[kFp4Integers[i]] = static_cast<uint8_t>(i);
    }
    return numbers;
  }();
  for (uint8_t& quant : block.quants) {
    quant = kNumbers[quant];
  }
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

// 32 columns of each row of a row block.
using QuantBlock = std::array<Quants, kLanes>;

void pack_scales(const QuantBlock& rows, const BlockShape& shape, const Isa& isa, std::byte* out) {
  constexpr float kLargest = 65504.0F;  // above it there is no f16 that is near
  float scales[2 * kLanes];
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    scales[lane] = std::clamp(rows[lane].scale[0], -kLargest, kLargest);
    const float second = shape.minimum ? rows[lane].minimum[0] : rows[lane].scale[1];
    scales[kLanes + lane] = std::clamp(second, -kLargest, kLargest);
  }
  uint16_t halves[2 * kLanes];
  isa.to_f16(scales, 2 * kLanes, halves);
  std::memcpy(out, halves, static_cast<std::size_t>(shape.scales * kLanes * 2));
}

void pack_quants(const QuantBlock& rows, const QuantPacking& packing, int64_t index, const Isa& isa,
                 std::byte* row_block) {
  const BlockShape& shape = packing.shape;
  const int64_t in_run = index % shape.blocks_per_run();
  std::byte* run = row_block + index / shape.blocks_per_run() * shape.run_bytes();
  pack_scales(rows, shape, isa, run + in_run * shape.scales * kLanes * 2);
  Words words;
  turn([&](std::size_t lane) { return rows[lane].quants; }, words);
  for (auto& step : words) {
    for (uint32_t& word : step) {
      word += packing.lift;
    }
  }
  std::byte* quants = run + 64 + in_run * shape.quant_bytes();
  if (shape.bits == 8) {
    std::memcpy(quants, words.data(), sizeof(words));
    return;
  }
  pack_nibbles(words, quants);
  if (shape.bits == 5) {
    pack_fifth_bits(words, quants);
  } else if (shape.bits == 6) {
    pack_high_pairs(words, quants);
  }
}

void pack_quantised(const StoredMatrix& stored, int64_t first_row, int64_t rows, Layout layout, const Isa& isa,
                    std::byte* row_block) {
  const QuantPacking packing = packing_of(stored.dtype, layout);
  QuantBlock blocks{};  // rows that fill up stay zero
  for (int64_t k = 0; k < stored.columns; k += kBlock) {
    const int64_t index = (stored.skip + k) / kBlock;
    const int64_t offset = index / packing.runs * packing.block_bytes;
    for (int64_t lane = 0; lane < rows; ++lane) {
      Quants& block = blocks[static_cast<std::size_t>(lane)];
      packing.unpack(stored.row(first_row + lane) + offset, static_cast<int>(index % packing.runs), block);
      if (packing.shape.table) {
        number_fp4(block);
      }
    }
    pack_quants(blocks, packing, k / kBlock, isa, row_block);
  }
}

void pack_row_block(const StoredMatrix& stored, int64_t first_row, Layout layout, const Isa& isa,
                    std::byte* row_block) {
  const int64_t rows = std::min(kLanes, stored.rows - first_row);
  if (is_quantised(layout)) {
    pack_quantised(stored, first_row, rows, layout, isa, row_block);
    return;
  }
  if (rows < kLanes) {
    std::memset(row_block, 0, static_cast<std::size_t>(row_block_bytes(layout, stored.columns)));
  }
  const bool stays = !is_block_quantised(stored.dtype) && bytes_of(stored.dtype, 1) == plain_value_bytes(layout);
  for (int64_t k = 0; k < stored.columns; k += kBlock) {
    if (stays && rows == kLanes && k + kBlock <= stored.columns) {
      pack_plain_block(stored, first_row, k, plain_value_bytes(layout), row_block);
      continue;
    }
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
