#pragma once

// How a lane reads 32 columns of a row of a packed weight: load() issues all its reads, columns() gives eight values.
// Of a run of 128 columns the lane has a quarter: 32 one behind the other, or of plain types each fourth piece, so that
// four lanes read 64 bytes of a row side by side.

#include "cuda/device.h"
#include "cuda/ptx.h"
#include "engine/backend/cuda/kernels/linear.h"

namespace longship::cuda {

/// One row of a row block.
struct PackedRow {
  const unsigned char* block = nullptr;  ///< The row block.
  int row = 0;                           ///< In the row block.
  int columns = 0;
  int scale_skip = 0;  ///< Of kFp8, by Format::prepare().
};

template <WeightLayout kLayout>
struct PlainFormat {
  static constexpr int kPiece = kLayout == WeightLayout::kF32 ? 4 : 8;  ///< Columns.
  static constexpr int kPieces = kBlockColumns / kPiece;
  static constexpr bool kInterleaved = true;  ///< The lane has each fourth piece.
  static constexpr bool kAnyColumn = true;    ///< Columns need not come in whole blocks.
  static constexpr bool kManyParts = false;   ///< Values are put together from three places.

  struct Raw {
    uint4 pieces[kPieces];
  };

  /// Called once, before the others.
  static __device__ __forceinline__ void prepare(PackedRow&) {}
  /// Whether load() can take 32 columns from one that begins a piece on.
  static __device__ __forceinline__ bool whole(const PackedRow&, int) { return true; }

  /// Column `i` of the lane, of whose pieces the first begins at `column`.
  static __device__ __forceinline__ int own_column(int column, int i) {
    return column + i / kPiece * (kRunClasses * kPiece) + i % kPiece;
  }

  /// Pieces from column `end` on, which begins one, are zero.
  static __device__ __forceinline__ void load(const PackedRow& row, int column, int end, Raw& raw) {
    const uint4* from = reinterpret_cast<const uint4*>(begin(row)) + column / kPiece;
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      raw.pieces[i] =
          own_column(column, i * kPiece) < end ? load_nc_16(from + i * kRunClasses) : make_uint4(0, 0, 0, 0);
    }
  }

  static __device__ __forceinline__ void columns(const Raw& raw, int eighth, float (&out)[8]) {
    if constexpr (kLayout == WeightLayout::kF32) {
      const uint4 low = raw.pieces[2 * eighth];
      const uint4 high = raw.pieces[2 * eighth + 1];
      const unsigned words[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        out[i] = __uint_as_float(words[i]);
      }
    } else {
      const uint4 piece = raw.pieces[eighth];
      const unsigned words[4] = {piece.x, piece.y, piece.z, piece.w};
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        out[2 * i] = value(static_cast<unsigned short>(words[i]));
        out[2 * i + 1] = value(static_cast<unsigned short>(words[i] >> 16U));
      }
    }
  }

  /// One column, for runs that are not whole pieces.
  static __device__ __forceinline__ float column(const PackedRow& row, int column) {
    if constexpr (kLayout == WeightLayout::kF32) {
      return reinterpret_cast<const float*>(begin(row))[column];
    } else {
      return value(reinterpret_cast<const unsigned short*>(begin(row))[column]);
    }
  }

 private:
  static __device__ __forceinline__ const unsigned char* begin(const PackedRow& row) {
    return row.block + static_cast<int64_t>(row.row) * ((row.columns + kPiece - 1) / kPiece) * 16;
  }
  static __device__ __forceinline__ float value(unsigned short bits) {
    return kLayout == WeightLayout::kF16 ? float_from_f16(bits) : float_from_bf16(bits);
  }
};

/// Values E4M3, each multiplied by its scale in f32.
struct Fp8Format {
  static constexpr bool kInterleaved = false;
  static constexpr int kPiece = kBlockColumns;
  static constexpr int kPieces = kBlockColumns / 16;
  static constexpr bool kAnyColumn = true;
  static constexpr bool kManyParts = true;

  struct Raw {
    uint4 pieces[kPieces];
    float scale;
  };

  static __device__ __forceinline__ void prepare(PackedRow& row) {
    row.scale_skip = *reinterpret_cast<const int*>(after_pieces(row));
  }

  /// Whether 32 columns have the same scale.
  static __device__ __forceinline__ bool whole(const PackedRow& row, int column) {
    return (column + row.scale_skip) % kFp8ScaleColumns <= kFp8ScaleColumns - kBlockColumns;
  }

  static __device__ __forceinline__ int own_column(int column, int i) { return column + i; }

  static __device__ __forceinline__ void load(const PackedRow& row, int column, Raw& raw) {
    const uint4* from = reinterpret_cast<const uint4*>(row.block) + column / 16 * kRowBlock + row.row;
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      raw.pieces[i] = load_nc_16(from + i * kRowBlock);
    }
    raw.scale = scale(row, column);
  }

  static __device__ __forceinline__ void columns(const Raw& raw, int eighth, float (&out)[8]) {
    const uint4 piece = raw.pieces[eighth / 2];
    const unsigned words[2] = {eighth % 2 == 0 ? piece.x : piece.z, eighth % 2 == 0 ? piece.y : piece.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float2 two = floats_from_e4m3(static_cast<uint16_t>(words[i / 2] >> static_cast<unsigned>(i % 2 * 16)));
      out[2 * i] = raw.scale * two.x;
      out[2 * i + 1] = raw.scale * two.y;
    }
  }

  static __device__ __forceinline__ float column(const PackedRow& row, int column) {
    const unsigned char byte = row.block[(column / 16 * kRowBlock + row.row) * 16 + column % 16];
    return scale(row, column) * floats_from_e4m3(byte).x;
  }

 private:
  // Behind the pieces: the skip in 16 bytes, then the scales.
  static __device__ __forceinline__ const unsigned char* after_pieces(const PackedRow& row) {
    return row.block + static_cast<int64_t>((row.columns + 15) / 16) * kRowBlock * 16;
  }
  static __device__ __forceinline__ float scale(const PackedRow& row, int column) {
    return reinterpret_cast<const float*>(after_pieces(row) +
                                          16)[(column + row.scale_skip) / kFp8ScaleColumns * kRowBlock + row.row];
  }
};

template <WeightLayout kLayout>
struct BlockFormat {
  static constexpr bool kInterleaved = false;
  static constexpr int kPiece = kBlockColumns;
  static constexpr bool kAnyColumn = false;
  static constexpr bool kBytes = kLayout == WeightLayout::kByte;
  static constexpr bool kFifth = kLayout == WeightLayout::kFive || kLayout == WeightLayout::kFiveMin;
  static constexpr bool kSixth = kLayout == WeightLayout::kSix;
  static constexpr bool kMinimum = kLayout == WeightLayout::kNibbleMin || kLayout == WeightLayout::kFiveMin;
  static constexpr bool kWideScale = kMinimum || kSixth;
  static constexpr int kOffset = kBytes                             ? 128
                                 : kLayout == WeightLayout::kNibble ? 8
                                 : kLayout == WeightLayout::kFive   ? 16
                                 : kSixth                           ? 32
                                                                    : 0;
  static constexpr int kPieces = kBytes ? 2 : 1;
  static constexpr int kHighWords = kFifth ? 1 : (kSixth ? 2 : 0);
  static constexpr bool kManyParts = kHighWords != 0;

  struct Raw {
    uint4 pieces[kPieces];
    unsigned high[kHighWords == 0 ? 1 : kHighWords];
    float scale[kSixth ? 2 : 1];
    float minimum;
  };

  static __device__ __forceinline__ void prepare(PackedRow&) {}
  static __device__ __forceinline__ bool whole(const PackedRow&, int) { return true; }

  static __device__ __forceinline__ void load(const PackedRow& row, int column, Raw& raw) {
    const int blocks = row.columns / kBlockColumns;
    const int block = column / kBlockColumns;
    const uint4* from = reinterpret_cast<const uint4*>(row.block) + block * kPieces * kRowBlock + row.row;
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      raw.pieces[i] = load_nc_16(from + i * kRowBlock);
    }
    const unsigned char* high = row.block + static_cast<int64_t>(blocks) * kPieces * kRowBlock * 16;
#pragma unroll
    for (int i = 0; i < kHighWords; ++i) {
      raw.high[i] = reinterpret_cast<const unsigned*>(high)[(block * kHighWords + i) * kRowBlock + row.row];
    }
    const unsigned char* scales = high + static_cast<int64_t>(blocks) * kHighWords * kRowBlock * 4;
    const int index = block * kRowBlock + row.row;
    if constexpr (kWideScale) {
      const unsigned both = reinterpret_cast<const unsigned*>(scales)[index];
      const float second = float_from_f16(static_cast<unsigned short>(both >> 16U));
      raw.scale[0] = float_from_f16(static_cast<unsigned short>(both));
      raw.scale[kSixth ? 1 : 0] = kSixth ? second : raw.scale[0];
      raw.minimum = second;
    } else {
      const unsigned short bits = reinterpret_cast<const unsigned short*>(scales)[index];
      raw.scale[0] = kLayout == WeightLayout::kNibbleFp4 ? float_from_bf16(bits) : float_from_f16(bits);
    }
  }

  static __device__ __forceinline__ void columns(const Raw& raw, int eighth, float (&out)[8]) {
    const float scale = raw.scale[kSixth ? eighth / 2 : 0];
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const float value = integer(raw, eighth, i);
      out[i] = kMinimum ? fmaf(scale, value, raw.minimum) : scale * value;
    }
  }

 private:
  static __device__ __forceinline__ unsigned word(const uint4& piece, int index) {
    return index == 0 ? piece.x : (index == 1 ? piece.y : (index == 2 ? piece.z : piece.w));
  }

  // The integer of column 8 eighth + i, its offset taken off.
  static __device__ __forceinline__ float integer(const Raw& raw, int eighth, int i) {
    if constexpr (kBytes) {
      const unsigned bytes = word(raw.pieces[eighth / 2], eighth % 2 * 2 + i / 4);
      return small((bytes >> static_cast<unsigned>(i % 4 * 8)) & 255U);
    } else {
      unsigned value = (word(raw.pieces[0], eighth) >> static_cast<unsigned>(4 * i)) & 15U;
      if constexpr (kLayout == WeightLayout::kNibbleFp4) {
        // Magnitudes of E2M1, doubled, as nibbles of a word.
        const float magnitude = small((0xC8643210U >> (4U * (value & 7U))) & 15U);
        return value >= 8U ? 0.0F - magnitude : magnitude;
      }
      if constexpr (kFifth) {
        value |= ((raw.high[0] >> static_cast<unsigned>(8 * eighth + i)) & 1U) << 4U;
      }
      if constexpr (kSixth) {
        value |= ((raw.high[eighth / 2] >> static_cast<unsigned>(2 * (eighth % 2 * 8 + i))) & 3U) << 4U;
      }
      return small(value);
    }
  }

  // value - kOffset in f32: a float of exponent 2^23 holds an integer in its low bits.
  static __device__ __forceinline__ float small(unsigned value) {
    return __uint_as_float(0x4B000000U | value) - (8388608.0F + static_cast<float>(kOffset));
  }
};

}  // namespace longship::cuda
