#include "engine/backend/cuda/packed_weights.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "core/half.h"
#include "engine/weights/blocks.h"
#include "engine/weights/nibble_tables.h"
#include "engine/weights/quants.h"

namespace longship::cuda {

namespace {

constexpr int64_t kPieceBytes = 16;
constexpr float kLargestHalf = 65504.0F;  // above it there is no f16 that is near

// The planes of a layout of blocks, in bytes of a block of a row.
struct Planes {
  int64_t integers;
  int64_t high;
  int64_t scales;
  int offset;

  int64_t bytes() const { return integers + high + scales; }
};

bool is_plain(WeightLayout layout) {
  return layout <= WeightLayout::kBF16;
}

constexpr int64_t kFp8Columns = kPieceBytes;  // of a piece

// What follows the values of a row block of kFp8: what the first scales lack, and the scales.
int64_t fp8_skip_at(int64_t columns) {
  return (columns + kFp8Columns - 1) / kFp8Columns * kRowBlock * kPieceBytes;
}

int64_t fp8_scales_at(int64_t columns) {
  return fp8_skip_at(columns) + kPieceBytes;
}

int64_t value_bytes(WeightLayout layout) {
  return layout == WeightLayout::kF32 ? 4 : 2;
}

Planes planes_of(WeightLayout layout) {
  switch (layout) {
    case WeightLayout::kNibble:
      return {16, 0, 2, 8};
    case WeightLayout::kNibbleMin:
      return {16, 0, 4, 0};
    case WeightLayout::kNibbleFp4:
      return {16, 0, 2, 0};
    case WeightLayout::kFive:
      return {16, 4, 2, 16};
    case WeightLayout::kFiveMin:
      return {16, 4, 4, 0};
    case WeightLayout::kSix:
      return {16, 8, 4, 32};
    default:
      return {32, 0, 2, 128};
  }
}

uint16_t half_scale(float value) {
  return f32_to_f16(std::clamp(value, -kLargestHalf, kLargestHalf));
}

// Columns of one row as values of a plain type.
void pack_plain_row(const StoredMatrix& stored, int64_t row, WeightLayout layout, std::byte* out) {
  const int64_t bytes = value_bytes(layout);
  const bool as_stored = !is_block_quantised(stored.dtype);
  const std::byte* values = stored.row(row) + stored.skip * bytes;
  std::array<float, kBlockColumns> exact;
  std::array<uint16_t, kBlockColumns> halves;
  for (int64_t first = 0; first < stored.columns; first += kBlockColumns) {
    const int64_t count = std::min<int64_t>(kBlockColumns, stored.columns - first);
    const std::byte* from = values + first * bytes;
    if (!as_stored) {
      stored.dequantise(row, {first, first + count}, exact.data());
      std::transform(exact.begin(), exact.end(), halves.begin(), f32_to_f16);
      from = layout == WeightLayout::kF32 ? reinterpret_cast<const std::byte*>(exact.data())
                                          : reinterpret_cast<const std::byte*>(halves.data());
    }
    std::memcpy(out + first * bytes, from, static_cast<std::size_t>(count * bytes));
  }
}

// Integers of MXFP4 back to the nibbles that number them; zero has two, of which the first is taken.
uint8_t number_fp4(uint8_t integer) {
  return static_cast<uint8_t>(std::find(std::begin(kFp4Integers), std::end(kFp4Integers), integer) -
                              std::begin(kFp4Integers));
}

uint32_t scales_of(const Quants& block, WeightLayout layout) {
  if (layout == WeightLayout::kNibbleFp4) {
    return std::bit_cast<uint32_t>(block.scale[0]) >> 16U;  // a power of two
  }
  const uint32_t first = half_scale(block.scale[0]);
  if (layout == WeightLayout::kSix) {
    return first | static_cast<uint32_t>(half_scale(block.scale[1])) << 16U;
  }
  if (layout == WeightLayout::kNibbleMin || layout == WeightLayout::kFiveMin) {
    return first | static_cast<uint32_t>(half_scale(block.minimum[0])) << 16U;
  }
  return first;
}

// Value `index` of a plane that holds kBytes of each of eight rows side by side.
template <std::size_t kBytes>
void put(const void* value, int64_t index, int64_t row, std::byte* plane) {
  std::memcpy(plane + (index * kRowBlock + row) * static_cast<int64_t>(kBytes), value, kBytes);
}

void put_nibbles(const Quants& block, int64_t index, int64_t row, std::byte* plane) {
  std::array<uint32_t, 4> words = {};
  for (std::size_t i = 0; i < kBlockColumns; ++i) {
    words[i / 8] |= (block.quants[i] & 15U) << (4 * (i % 8));
  }
  put<16>(words.data(), index, row, plane);
}

// Bit 4, or bits 4 and 5, of the 32 integers.
void put_high(const Quants& block, int64_t bits, int64_t index, int64_t row, std::byte* plane) {
  std::array<uint32_t, 2> words = {};
  const auto per_word = static_cast<std::size_t>(32 / bits);
  for (std::size_t i = 0; i < kBlockColumns; ++i) {
    words[i / per_word] |= static_cast<uint32_t>(block.quants[i] >> 4U)
                           << (static_cast<std::size_t>(bits) * (i % per_word));
  }
  for (int64_t word = 0; word < bits; ++word) {
    put<4>(&words[static_cast<std::size_t>(word)], index * bits + word, row, plane);
  }
}

// What packing a matrix in a layout of blocks needs to know.
struct BlockPacking {
  UnpackQuants unpack;
  int64_t stored_bytes;
  int64_t runs;  ///< Of 32 columns in a stored block.
  Planes planes;
  int lift;  ///< Types with fewer bits than their layout stand in the middle of its range.
};

void prepare_quants(const StoredMatrix& stored, int64_t row, int64_t block, const BlockPacking& packing,
                    WeightLayout layout, Quants& out) {
  const int64_t index = stored.skip / kBlockColumns + block;
  packing.unpack(stored.row(row) + index / packing.runs * packing.stored_bytes, static_cast<int>(index % packing.runs),
                 out);
  for (uint8_t& quant : out.quants) {
    quant = layout == WeightLayout::kNibbleFp4 ? number_fp4(quant) : static_cast<uint8_t>(quant + packing.lift);
  }
}

void pack_block_row(const StoredMatrix& stored, int64_t row, WeightLayout layout, int64_t lane, std::byte* row_block) {
  const Planes planes = planes_of(layout);
  const int lift = layout == WeightLayout::kNibbleFp4 ? 0 : planes.offset - quant_offset(stored.dtype);
  const BlockPacking packing{quant_unpacker(stored.dtype), info(stored.dtype).block_bytes,
                             info(stored.dtype).block_values / kQuantColumns, planes, lift};
  const int64_t blocks = stored.columns / kBlockColumns;
  std::byte* high = row_block + blocks * kRowBlock * planes.integers;
  std::byte* scales = high + blocks * kRowBlock * planes.high;
  Quants quants;
  for (int64_t block = 0; block < blocks; ++block) {
    prepare_quants(stored, row, block, packing, layout, quants);
    if (layout == WeightLayout::kByte) {
      put<16>(quants.quants, 2 * block, lane, row_block);
      put<16>(quants.quants + 16, 2 * block + 1, lane, row_block);
    } else {
      put_nibbles(quants, block, lane, row_block);
    }
    if (planes.high != 0) {
      put_high(quants, planes.high / 4, block, lane, high);
    }
    const uint32_t both = scales_of(quants, layout);
    if (planes.scales == 4) {
      put<4>(&both, block, lane, scales);
    } else {
      const auto one = static_cast<uint16_t>(both);
      put<2>(&one, block, lane, scales);
    }
  }
}

// Scales of more columns than kFp8ScaleColumns are repeated.
void pack_fp8_row(const StoredMatrix& stored, int64_t row, int64_t lane, std::byte* row_block) {
  const std::byte* values = stored.row(row) + stored.skip;
  for (int64_t column = 0; column < stored.columns; column += kFp8Columns) {
    const int64_t count = std::min(kFp8Columns, stored.columns - column);
    std::memcpy(row_block + (column / kFp8Columns * kRowBlock + lane) * kPieceBytes, values + column,
                static_cast<std::size_t>(count));
  }
  const auto skip = static_cast<int32_t>(stored.scales.skip % kFp8ScaleColumns);
  std::byte* scales = row_block + fp8_scales_at(stored.columns);
  for (int64_t index = 0; index * kFp8ScaleColumns < skip + stored.columns; ++index) {
    const float scale = stored.scales.at(row, std::max<int64_t>(0, index * kFp8ScaleColumns - skip));
    put<4>(&scale, index, lane, scales);
  }
  std::memcpy(row_block + fp8_skip_at(stored.columns), &skip, sizeof(skip));
}

}  // namespace

WeightLayout layout_of(DType dtype, bool exact) {
  switch (dtype) {
    case DType::kF16:
      return WeightLayout::kF16;
    case DType::kBF16:
      return WeightLayout::kBF16;
    case DType::kQ8_0:
    case DType::kIQ4_NL:
      return WeightLayout::kByte;
    case DType::kQ4_0:
      return WeightLayout::kNibble;
    case DType::kQ4_1:
      return WeightLayout::kNibbleMin;
    case DType::kMXFP4:
      return WeightLayout::kNibbleFp4;
    case DType::kF8_E4M3:
      return WeightLayout::kFp8;
    case DType::kQ5_0:
      return WeightLayout::kFive;
    case DType::kQ5_1:
      return WeightLayout::kFiveMin;
    case DType::kQ2_K:
      return exact ? WeightLayout::kF32 : WeightLayout::kF16;
    case DType::kQ4_K:
      return exact ? WeightLayout::kF32 : WeightLayout::kNibbleMin;
    case DType::kQ5_K:
      return exact ? WeightLayout::kF32 : WeightLayout::kFiveMin;
    case DType::kQ3_K:
    case DType::kQ6_K:
      return exact ? WeightLayout::kF32 : WeightLayout::kSix;
    default:
      return WeightLayout::kF32;
  }
}

int64_t row_block_bytes(WeightLayout layout, int64_t columns) {
  if (layout == WeightLayout::kFp8) {
    return fp8_scales_at(columns) + (columns / kFp8ScaleColumns + 2) * kRowBlock * static_cast<int64_t>(sizeof(float));
  }
  if (!is_plain(layout)) {
    return columns / kBlockColumns * kRowBlock * planes_of(layout).bytes();
  }
  return kRowBlock * plain_row_columns(layout, static_cast<int>(columns)) * value_bytes(layout);
}

int64_t packed_bytes(WeightLayout layout, int64_t rows, int64_t columns) {
  return (rows + kRowBlock - 1) / kRowBlock * row_block_bytes(layout, columns);
}

void pack_rows(const StoredMatrix& stored, WeightLayout layout, std::byte* out, ThreadPool& pool) {
  const int64_t bytes = row_block_bytes(layout, stored.columns);
  pool.parallel_for((stored.rows + kRowBlock - 1) / kRowBlock, 1, [&](int64_t begin, int64_t end) {
    std::memset(out + begin * bytes, 0, static_cast<std::size_t>((end - begin) * bytes));
    for (int64_t row = begin * kRowBlock; row < std::min(end * kRowBlock, stored.rows); ++row) {
      std::byte* row_block = out + row / kRowBlock * bytes;
      if (is_plain(layout)) {
        pack_plain_row(stored, row, layout, row_block + row % kRowBlock * (bytes / kRowBlock));
      } else if (layout == WeightLayout::kFp8) {
        pack_fp8_row(stored, row, row % kRowBlock, row_block);
      } else {
        pack_block_row(stored, row, layout, row % kRowBlock, row_block);
      }
    }
  });
}

}  // namespace longship::cuda
