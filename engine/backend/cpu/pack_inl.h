// Stored rows to row blocks. The stored formats are those of engine/weights/quants.cc, read for 16 rows at once.
#include "engine/backend/cpu/isa.h"
#include "engine/weights/nibble_tables.h"

namespace longship::LONGSHIP_CPU_NAMESPACE {

/// Where the stored block of each of 16 rows begins.
struct StoredBlocks {
  const std::byte* rows[cpu::kLanes];

  uint32_t byte(int lane, int64_t offset) const { return static_cast<uint32_t>(rows[lane][offset]); }
};

/// N words of each row from `offset` on, row by row in the lanes; N is a multiple of 4.
template <int N>
LONGSHIP_INLINE void load_words(const StoredBlocks& blocks, int64_t offset, I32 (&words)[N]) {
  alignas(64) uint32_t turned[N][cpu::kLanes];
#pragma GCC unroll 4
  for (int lane = 0; lane < cpu::kLanes; lane += 4) {
#pragma GCC unroll 2
    for (int word = 0; word < N; word += 4) {
      __m128i rows[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        rows[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(blocks.rows[lane + i] + offset + int64_t{4} * word));
      }
      const __m128i low_a = _mm_unpacklo_epi32(rows[0], rows[1]);
      const __m128i low_b = _mm_unpacklo_epi32(rows[2], rows[3]);
      const __m128i high_a = _mm_unpackhi_epi32(rows[0], rows[1]);
      const __m128i high_b = _mm_unpackhi_epi32(rows[2], rows[3]);
      const __m128i words_of_four[4] = {_mm_unpacklo_epi64(low_a, low_b), _mm_unpackhi_epi64(low_a, low_b),
                                        _mm_unpacklo_epi64(high_a, high_b), _mm_unpackhi_epi64(high_a, high_b)};
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        _mm_store_si128(reinterpret_cast<__m128i*>(&turned[word + i][lane]), words_of_four[i]);
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) {
    words[i] = load_bytes(turned[i]);
  }
}

LONGSHIP_INLINE I32 load_word(const StoredBlocks& blocks, int64_t offset) {
  alignas(64) uint32_t words[cpu::kLanes];
  for (int lane = 0; lane < cpu::kLanes; ++lane) {
    __builtin_memcpy(&words[lane], blocks.rows[lane] + offset, sizeof(uint32_t));
  }
  return load_bytes(words);
}

LONGSHIP_INLINE F32 load_halves(const StoredBlocks& blocks, int64_t offset) {
  uint16_t halves[cpu::kLanes];
  for (int lane = 0; lane < cpu::kLanes; ++lane) {
    __builtin_memcpy(&halves[lane], blocks.rows[lane] + offset, sizeof(uint16_t));
  }
  return load_f16(halves);
}

LONGSHIP_INLINE Bytes masked(Bytes a, uint32_t byte) {
  return bits_and(a, broadcast_i32(static_cast<int32_t>(byte * 0x01010101U)));
}

/// 32 columns of 16 rows: word i holds the integers of columns 4 i to 4 i + 3, as Quants does; scales of the first and
/// of the last 16 columns, or scale and minimum.
struct QuantRun {
  Bytes values[8];
  F32 scales[2];
};

/// 16 bytes: low nibbles are values 0 to 15, high nibbles 16 to 31.
LONGSHIP_INLINE void read_nibbles(const StoredBlocks& blocks, int64_t offset, QuantRun& run) {
  I32 words[4];
  load_words(blocks, offset, words);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    run.values[i] = low_nibbles(words[i]);
    run.values[i + 4] = high_nibbles(words[i]);
  }
}

/// 4 bytes: bit i is bit 4 of value i.
LONGSHIP_INLINE void read_fifth_bits(const StoredBlocks& blocks, int64_t offset, QuantRun& run) {
  const I32 bits = load_word(blocks, offset);
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    const I32 four = bits_and(shift_right(bits, 4 * i), broadcast_i32(15));
    const I32 pair = bits_or(four, shift_left(four, 7));
    const I32 spread = masked(bits_or(pair, shift_left(pair, 14)), 1);
    run.values[i] = bits_or(run.values[i], shift_left(spread, 4));
  }
}

/// Words of stored blocks that several runs share: loaded for the first of them.
template <int N>
class SharedWords {
 public:
  LONGSHIP_INLINE const I32 (&at(const StoredBlocks& blocks, int64_t offset))[N] {
    if (loaded_ != blocks.rows[0] + offset) {
      loaded_ = blocks.rows[0] + offset;
      load_words(blocks, offset, words_);
    }
    return words_;
  }

 private:
  const std::byte* loaded_ = nullptr;
  I32 words_[N];
};

/// The same of a half of each block.
class SharedHalves {
 public:
  LONGSHIP_INLINE F32 at(const StoredBlocks& blocks, int64_t offset) {
    if (loaded_ != blocks.rows[0] + offset) {
      loaded_ = blocks.rows[0] + offset;
      halves_ = load_halves(blocks, offset);
    }
    return halves_;
  }

 private:
  const std::byte* loaded_ = nullptr;
  F32 halves_;
};

/// Of 32 bytes the bits below `mask` from bit `shift` on.
LONGSHIP_INLINE void take_bits(const I32 (&words)[8], int shift, uint32_t mask, Bytes (&values)[8]) {
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    values[i] = masked(shift_right(words[i], shift), mask);
  }
}

/// values + (bits << shift)
LONGSHIP_INLINE void add_high_bits(const Bytes (&bits)[8], int shift, QuantRun& run) {
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    run.values[i] = bits_or(run.values[i], shift_left(bits[i], shift));
  }
}

LONGSHIP_INLINE void replace(const uint8_t (&table)[16], QuantRun& run) {
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    run.values[i] = look_up(table, run.values[i]);
  }
}

/// Reads run `run` of 32 columns of blocks of a stored type, runs and blocks in order.
template <DType kType>
struct StoredRun;

template <>
struct StoredRun<DType::kQ8_0> {
  LONGSHIP_INLINE void read(const StoredBlocks& blocks, int /*run*/, QuantRun& out) {
    out.scales[0] = load_halves(blocks, 0);
    load_words(blocks, 2, out.values);
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      out.values[i] = bits_xor(out.values[i], broadcast_i32(static_cast<int32_t>(0x80808080U)));
    }
  }
};

template <>
struct StoredRun<DType::kQ4_0> {
  LONGSHIP_INLINE void read(const StoredBlocks& blocks, int /*run*/, QuantRun& out) {
    out.scales[0] = load_halves(blocks, 0);
    read_nibbles(blocks, 2, out);
  }
};

template <>
struct StoredRun<DType::kQ4_1> {
  LONGSHIP_INLINE void read(const StoredBlocks& blocks, int /*run*/, QuantRun& out) {
    out.scales[0] = load_halves(blocks, 0);
    out.scales[1] = load_halves(blocks, 2);
    read_nibbles(blocks, 4, out);
  }
};

template <>
struct StoredRun<DType::kQ5_0> {
  LONGSHIP_INLINE void read(const StoredBlocks& blocks, int /*run*/, QuantRun& out) {
    out.scales[0] = load_halves(blocks, 0);
    read_nibbles(blocks, 6, out);
    read_fifth_bits(blocks, 2, out);
  }
};

template <>
struct StoredRun<DType::kQ5_1> {
  LONGSHIP_INLINE void read(const StoredBlocks& blocks, int /*run*/, QuantRun& out) {
    out.scales[0] = load_halves(blocks, 0);
    out.scales[1] = load_halves(blocks, 2);
    read_nibbles(blocks, 8, out);
    read_fifth_bits(blocks, 4, out);
  }
};

template <>
struct StoredRun<DType::kIQ4_NL> {
  LONGSHIP_INLINE void read(const StoredBlocks& blocks, int /*run*/, QuantRun& out) {
    out.scales[0] = load_halves(blocks, 0);
    read_nibbles(blocks, 2, out);
    replace(kIq4Integers, out);
  }
};

/// Nibbles stay numbers of values. Zero has two, of which the first is taken.
template <>
struct StoredRun<DType::kMXFP4> {
  LONGSHIP_INLINE void read(const StoredBlocks& blocks, int /*run*/, QuantRun& out) {
    constexpr uint8_t kNumbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 0, 9, 10, 11, 12, 13, 14, 15};
    // The integers are twice the values, so the scale is half of 2^(e - 127).
    uint32_t bits[cpu::kLanes];
    for (int lane = 0; lane < cpu::kLanes; ++lane) {
      const uint32_t exponent = blocks.byte(lane, 0);
      bits[lane] = exponent < 2 ? 0x00200000U << exponent : (exponent - 1) << 23U;
    }
    float scales[cpu::kLanes];
    __builtin_memcpy(scales, bits, sizeof(bits));
    out.scales[0] = load(scales);
    read_nibbles(blocks, 1, out);
    replace(kNumbers, out);
  }
};

/// Scale and minimum f16, then 12 bytes of a 6-bit scale and a 6-bit minimum for each run.
class ScalesAndMinimaK {
 public:
  LONGSHIP_INLINE void read(const StoredBlocks& blocks, int run, QuantRun& out) {
    const I32(&words)[4] = packed_.at(blocks, 4);  // the fourth belongs to what stands behind
    const int shift = 8 * (run % 4);
    I32 scale = shift_right(words[0], shift);
    I32 minimum = shift_right(words[1], shift);
    if (run < 4) {
      scale = bits_and(scale, broadcast_i32(63));
      minimum = bits_and(minimum, broadcast_i32(63));
    } else {
      const I32 low = shift_right(words[2], shift);
      scale = bits_or(bits_and(low, broadcast_i32(15)), bits_and(shift_right(scale, 2), broadcast_i32(0x30)));
      minimum = bits_or(bits_and(shift_right(low, 4), broadcast_i32(15)),
                        bits_and(shift_right(minimum, 2), broadcast_i32(0x30)));
    }
    out.scales[0] = mul(scale_.at(blocks, 0), to_f32(scale));
    out.scales[1] = mul(broadcast(-1.0F), mul(minimum_.at(blocks, 2), to_f32(minimum)));
  }

 private:
  SharedWords<4> packed_;
  SharedHalves scale_;
  SharedHalves minimum_;
};

template <>
struct StoredRun<DType::kQ4_K> {
  LONGSHIP_INLINE void read(const StoredBlocks& blocks, int run, QuantRun& out) {
    scales.read(blocks, run, out);
    take_bits(low.at(blocks, 16 + run / 2 * 32), run % 2 * 4, 15, out.values);
  }

  ScalesAndMinimaK scales;
  SharedWords<8> low;
};

template <>
struct StoredRun<DType::kQ5_K> {
  LONGSHIP_INLINE void read(const StoredBlocks& blocks, int run, QuantRun& out) {
    scales.read(blocks, run, out);
    take_bits(low.at(blocks, 48 + run / 2 * 32), run % 2 * 4, 15, out.values);
    Bytes bits[8];
    take_bits(high.at(blocks, 16), run, 1, bits);
    add_high_bits(bits, 4, out);
  }

  ScalesAndMinimaK scales;
  SharedWords<8> low;
  SharedWords<8> high;
};

template <>
struct StoredRun<DType::kQ6_K> {
  LONGSHIP_INLINE void read(const StoredBlocks& blocks, int run, QuantRun& out) {
    const I32 of_two_runs = scales.at(blocks, 192)[run / 2];  // four signed bytes
    for (int half = 0; half < 2; ++half) {
      const I32 of_half = shift_left(of_two_runs, 24 - 8 * (run % 2 * 2 + half));
      out.scales[half] = mul(scale.at(blocks, 208), to_f32(shift_right_signed(of_half, 24)));
    }
    take_bits(low[run % 2].at(blocks, run / 4 * 64 + run % 2 * 32), run % 4 / 2 * 4, 15, out.values);
    Bytes bits[8];
    take_bits(high.at(blocks, 128 + run / 4 * 32), run % 4 * 2, 3, bits);
    add_high_bits(bits, 4, out);
  }

  SharedHalves scale;
  SharedWords<4> scales;
  SharedWords<8> low[2];
  SharedWords<8> high;
};

template <>
struct StoredRun<DType::kQ3_K> {
  LONGSHIP_INLINE void read(const StoredBlocks& blocks, int run, QuantRun& out) {
    const F32 scale = load_halves(blocks, 108);
    for (int half = 0; half < 2; ++half) {
      const int i = 2 * run + half;
      int8_t of_run[cpu::kLanes];
      for (int lane = 0; lane < cpu::kLanes; ++lane) {
        const uint32_t nibble = i < 8 ? blocks.byte(lane, 96 + i) & 15U : blocks.byte(lane, 96 + i - 8) >> 4U;
        const uint32_t pair = (blocks.byte(lane, 104 + i % 4) >> static_cast<uint32_t>(2 * (i / 4))) & 3U;
        of_run[lane] = static_cast<int8_t>(static_cast<int>(nibble | pair << 4U) - 32);
      }
      out.scales[half] = mul(scale, load_i8(of_run));
    }
    take_bits(low.at(blocks, 32 + run / 4 * 32), run % 4 * 2, 3, out.values);
    Bytes bits[8];
    take_bits(high.at(blocks, 0), run, 1, bits);
    add_high_bits(bits, 2, out);
  }

  SharedWords<8> low;
  SharedWords<8> high;
};

/// Integers with fewer bits than their layout stand in the middle of its range.
LONGSHIP_INLINE void lift(int by, QuantRun& run) {
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    run.values[i] = add(run.values[i], broadcast_i32(by * 0x01010101));
  }
}

/// What rows that fill up a row block hold: zeros.
LONGSHIP_INLINE void clear_missing_rows(int rows, QuantRun& run) {
  alignas(64) int32_t mask[cpu::kLanes];
  for (int lane = 0; lane < cpu::kLanes; ++lane) {
    mask[lane] = lane < rows ? -1 : 0;
  }
  const Bytes present = load_bytes(mask);
  for (Bytes& values : run.values) {
    values = bits_and(values, present);
  }
  for (F32& scale : run.scales) {
    scale = select_lanes(0, rows, scale, zero());
  }
}

LONGSHIP_INLINE void write_scale(F32 scale, std::byte* out) {
  constexpr float kLargest = 65504.0F;  // above it there is no f16 that is near
  store_f16(reinterpret_cast<uint16_t*>(out), min(broadcast(kLargest), max(broadcast(-kLargest), scale)));
}

/// See cpu::Layout.
template <cpu::Layout kLayout>
LONGSHIP_INLINE void write_run(const QuantRun& run, int64_t index, std::byte* row_block) {
  constexpr cpu::BlockShape kShape = cpu::block_shape(kLayout);
  constexpr int64_t kVector = 64;
  const int64_t in_run = index % kShape.blocks_per_run();
  std::byte* begin = row_block + index / kShape.blocks_per_run() * kShape.run_bytes();
#pragma GCC unroll 2
  for (int i = 0; i < kShape.scales; ++i) {
    write_scale(run.scales[i], begin + (in_run * kShape.scales + i) * 2 * cpu::kLanes);
  }
  std::byte* quants = begin + kVector + in_run * kShape.quant_bytes();
  if constexpr (kShape.bits == 8) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      store_bytes(quants + i * kVector, run.values[i]);
    }
    return;
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    store_bytes(quants + i * kVector,
                bits_or(low_nibbles(run.values[i]), shift_left(low_nibbles(run.values[i + 4]), 4)));
  }
  Bytes high[2] = {zero_i32(), zero_i32()};
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    if constexpr (kShape.bits == 5) {
      high[0] = bits_or(high[0], shift_left(masked(shift_right(run.values[i], 4), 1), i));
    } else if constexpr (kShape.bits == 6) {
      high[i / 4] = bits_or(high[i / 4], shift_left(masked(shift_right(run.values[i], 4), 3), 2 * (i % 4)));
    }
  }
#pragma GCC unroll 2
  for (int i = 0; i < kShape.bits - 4; ++i) {
    store_bytes(quants + (4 + i) * kVector, high[i]);
  }
}

template <DType kType, cpu::Layout kLayout, int kRuns>
void pack_quants_as(const cpu::PackTask& task, std::byte* row_block) {
  StoredRun<kType> stored;
  for (int64_t b = 0; b < task.columns / cpu::kBlock; ++b) {
    const int64_t index = task.skip / cpu::kBlock + b;
    StoredBlocks blocks;
    for (int lane = 0; lane < cpu::kLanes; ++lane) {
      blocks.rows[lane] = task.rows[lane < task.row_count ? lane : 0] + index / kRuns * task.block_bytes;
    }
    QuantRun run;
    stored.read(blocks, static_cast<int>(index % kRuns), run);
    if (task.row_count < cpu::kLanes) {
      clear_missing_rows(task.row_count, run);
    }
    if constexpr (kType == DType::kQ3_K) {
      lift(cpu::block_shape(kLayout).offset - 4, run);
    }
    write_run<kLayout>(run, b, row_block);
  }
}

/// Whole blocks of 32 columns of 16 rows whose values, of kBytes bytes, stay as they are; kPairs: see kBF16Pairs.
template <int kBytes, bool kPairs = false>
void pack_values(const cpu::PackTask& task, std::byte* row_block) {
  for (int64_t k = 0; k < task.columns; k += 32 / kBytes, row_block += int64_t{32} * cpu::kLanes) {
    StoredBlocks blocks;
    for (int lane = 0; lane < cpu::kLanes; ++lane) {
      blocks.rows[lane] = task.rows[lane] + (task.skip + k) * kBytes;
    }
    I32 words[8];
    load_words(blocks, 0, words);
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      if constexpr (kBytes == 4 || kPairs) {
        store_bytes(row_block + i * int64_t{64}, words[i]);
      } else {
        store_words(row_block + i * int64_t{64}, words[i]);  // a word holds the values of two columns
      }
    }
  }
}

/// One row block of a layout of integers.
inline void pack_row_block(const cpu::PackTask& task, std::byte* row_block) {
  using cpu::Layout;
  switch (task.type) {
    case DType::kQ8_0:
      return pack_quants_as<DType::kQ8_0, Layout::kByte, 1>(task, row_block);
    case DType::kIQ4_NL:
      return pack_quants_as<DType::kIQ4_NL, Layout::kByte, 1>(task, row_block);
    case DType::kQ4_0:
      return pack_quants_as<DType::kQ4_0, Layout::kNibble, 1>(task, row_block);
    case DType::kQ4_1:
      return pack_quants_as<DType::kQ4_1, Layout::kNibbleMin, 1>(task, row_block);
    case DType::kQ4_K:
      return pack_quants_as<DType::kQ4_K, Layout::kNibbleMin, 8>(task, row_block);
    case DType::kMXFP4:
      return pack_quants_as<DType::kMXFP4, Layout::kNibbleFp4, 1>(task, row_block);
    case DType::kQ5_0:
      return pack_quants_as<DType::kQ5_0, Layout::kFive, 1>(task, row_block);
    case DType::kQ5_1:
      return pack_quants_as<DType::kQ5_1, Layout::kFiveMin, 1>(task, row_block);
    case DType::kQ5_K:
      return pack_quants_as<DType::kQ5_K, Layout::kFiveMin, 8>(task, row_block);
    case DType::kQ6_K:
      return pack_quants_as<DType::kQ6_K, Layout::kSix, 8>(task, row_block);
    case DType::kQ3_K:
      return pack_quants_as<DType::kQ3_K, Layout::kSix, 8>(task, row_block);
    case DType::kF32:
      return pack_values<4>(task, row_block);
    default:  // F16, BF16
      return task.layout == Layout::kBF16Pairs ? pack_values<2, true>(task, row_block)
                                               : pack_values<2>(task, row_block);
  }
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
