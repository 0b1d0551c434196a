#pragma once

// Packed weights as left operands of mma: 16 rows, two row blocks, of 32 columns at a time. The order of the columns in
// a sum is free, so that each lane takes 8 columns of a row that lie side by side in memory, and pairs of them in the
// order in which they are cheapest to unpack; activations are staged in the same order. Every value is exact in bf16
// (of f16 the sum of two): integers of quantised blocks are multiplied as such, and scales applied to the sums in f32.

#include "cuda/device.h"
#include "cuda/ptx.h"
#include "engine/backend/cuda/kernels/tensor_activations.h"

namespace longship::cuda {

inline constexpr int kOperandRows = 2 * kRowBlock;
/// Bytes of a copy from global to shared memory.
inline constexpr int kPieceBytes = 16;

/// A lane's values of 16 rows and 32 columns: in two steps of 16 columns the registers of mma.
template <int kTerms>
struct WeightOperand {
  uint32_t steps[kTerms][2][4];
};

/// What a lane's sums of 32 columns, or of the 16 of a step, are multiplied by: of row g and row g + 8.
template <int kParts>
struct OperandScales {
  float scale[kParts][2];
  float minimum[2];
};

__device__ __forceinline__ constexpr uint32_t both_bf16(uint32_t bits) {
  return bits | bits << 16U;
}

template <WeightLayout kLayout>
struct TensorWeight {
  static constexpr bool kPlain = kLayout == WeightLayout::kF16 || kLayout == WeightLayout::kBF16;
  static constexpr bool kFp8 = kLayout == WeightLayout::kFp8;
  static constexpr bool kByte = kLayout == WeightLayout::kByte;
  static constexpr bool kFive = kLayout == WeightLayout::kFive || kLayout == WeightLayout::kFiveMin;
  static constexpr bool kSix = kLayout == WeightLayout::kSix;
  static constexpr bool kMinimum = kLayout == WeightLayout::kNibbleMin || kLayout == WeightLayout::kFiveMin;
  static constexpr int kTerms = kLayout == WeightLayout::kF16 ? 2 : 1;  ///< Values that add up to a weight.
  static constexpr int kScaleParts = kSix ? 2 : 1;
  /// Bytes of 32 columns of a row block in each plane; of kFp8 a scale is for 128 columns.
  static constexpr int kIntegerBytes = kPlain ? 512 : (kByte || kFp8 ? 256 : 128);
  static constexpr int kHighBytes = kFive ? 32 : (kSix ? 64 : 0);
  static constexpr int kScaleBytes = kPlain || kFp8 ? 0 : (kMinimum || kSix ? 32 : 16);

  using Operand = WeightOperand<kTerms>;
  using Scales = OperandScales<kScaleParts>;

  static constexpr ColumnOrder kOrder = kPlain          ? ColumnOrder::kPairs
                                        : kByte || kFp8 ? ColumnOrder::kBytes
                                        : kSix          ? ColumnOrder::kSixteens
                                                        : ColumnOrder::kNibbles;

  /// The operand from the planes of two row blocks in shared memory, `stride` words apart; `window`: which 32 columns
  /// of the planes.
  static __device__ __forceinline__ void load(Shared<uint32_t> integers, int integer_stride, Shared<uint32_t> high,
                                              int high_stride, int window, int lane, Operand& operand) {
    if constexpr (kPlain) {
      load_plain(integers, integer_stride, window, lane, operand);
    } else {
#pragma unroll
      for (int block = 0; block < 2; ++block) {
        uint32_t pairs[kTerms][4];
        unpack(integers + block * integer_stride, high + block * high_stride, window, lane, pairs);
#pragma unroll
        for (int term = 0; term < kTerms; ++term) {
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            operand.steps[term][i / 2][i % 2 * 2 + block] = pairs[term][i];
          }
        }
      }
    }
  }

  static __device__ __forceinline__ void load_scales(Shared<uint32_t> scales, int stride, int window, int lane,
                                                     Scales& out) {
    const int row = lane / 4;
#pragma unroll
    for (int block = 0; block < 2; ++block) {
      if constexpr (kScaleBytes == 32) {
        const uint32_t both = scales[block * stride + window * kRowBlock + row];
        const float second = float_from_f16(static_cast<uint16_t>(both >> 16U));
        out.scale[0][block] = float_from_f16(static_cast<uint16_t>(both));
        if constexpr (kSix) {
          out.scale[1][block] = second;
        }
        out.minimum[block] = second;
      } else if constexpr (kScaleBytes == 16) {
        const uint32_t two = scales[block * stride + (window * kRowBlock + row) / 2];
        const auto bits = static_cast<uint16_t>(two >> static_cast<uint32_t>(row % 2 * 16));
        out.scale[0][block] = kLayout == WeightLayout::kNibbleFp4 ? float_from_bf16(bits) : float_from_f16(bits);
      }
    }
  }

 private:
  // The eight values of a lane's row in pairs.
  static __device__ __forceinline__ void unpack(Shared<uint32_t> integers, Shared<uint32_t> high, int window, int lane,
                                                uint32_t (&pairs)[kTerms][4]) {
    const int row = lane / 4;
    const int t = lane % 4;
    if constexpr (kByte || kFp8) {
      const uint2 piece = shared_cast<uint2>(integers)[((window * 2 + t / 2) * kRowBlock + row) * 2 + t % 2];
      kByte ? bytes(piece.x, pairs[0][0], pairs[0][1]) : e4m3(piece.x, pairs[0][0], pairs[0][1]);
      kByte ? bytes(piece.y, pairs[0][2], pairs[0][3]) : e4m3(piece.y, pairs[0][2], pairs[0][3]);
    } else if constexpr (kSix) {
      six(integers, high, window, lane, pairs[0]);
    } else {
      const uint32_t word = integers[(window * kRowBlock + row) * 4 + t];
      uint32_t fifth = 0;
      if constexpr (kFive) {
        const uint32_t bits = high[window * kRowBlock + row] >> static_cast<uint32_t>(8 * t);
        fifth = (bits & 0xFU) | (bits << 12U & 0xF0000U);
      }
      nibbles(word, fifth, pairs[0]);
    }
  }

  // Pieces of eight columns of both row blocks, two at a time, are the operand's four matrices. Rows lie one behind the
  // other, piece p of row r at place p ^ r.
  static __device__ __forceinline__ void load_plain(Shared<uint32_t> values, int stride, int window, int lane,
                                                    Operand& operand) {
    const int block = lane / 8 % 2;
    const int in_block = lane % 8;
    const Shared<uint32_t> row = values + block * stride + in_block * (stride / kRowBlock);
#pragma unroll
    for (int step = 0; step < 2; ++step) {
      const int piece = window * 4 + step * 2 + lane / 16;
      uint32_t loaded[4];
      ldmatrix_x4(loaded, shared_cast<uint16_t>(row + (piece ^ in_block) * 4));
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if constexpr (kTerms == 2) {
          divide_f16(loaded[i], operand.steps[0][step][i], operand.steps[1][step][i]);
        } else {
          operand.steps[0][step][i] = loaded[i];
        }
      }
    }
  }

  // f16 as the sum of two bf16.
  static __device__ __forceinline__ void divide_f16(uint32_t both, uint32_t& first, uint32_t& rest) {
    const float low = float_from_f16(static_cast<uint16_t>(both));
    const float high = float_from_f16(static_cast<uint16_t>(both >> 16U));
    first = pack_bf16(low, high);
    rest = pack_bf16(low - __uint_as_float(first << 16U), high - __uint_as_float(first & 0xFFFF0000U));
  }

  // Bytes 0 and 2, and 1 and 3, less 128: 128 + the low seven bits, less 256 or, where the highest is set, 128.
  static __device__ __forceinline__ void bytes(uint32_t word, uint32_t& even, uint32_t& odd) {
    even = less_offset(word);
    odd = less_offset(word >> 8U);
  }
  static __device__ __forceinline__ uint32_t less_offset(uint32_t word) {
    const uint32_t low = masked_or(word, both_bf16(0x7FU), both_bf16(0x4300U));
    const uint32_t less = masked_xor(word, both_bf16(0x80U), both_bf16(0xC380U));
    return fma_bf16x2(low, both_bf16(0x3F80U), less);
  }

  // The exponent is another's: values are 2^120 too small.
  static __device__ __forceinline__ void e4m3(uint32_t word, uint32_t& even, uint32_t& odd) {
    const uint32_t first = (word << 4U & both_bf16(0x07F0U)) | (word << 8U & both_bf16(0x8000U));
    const uint32_t second = (word >> 4U & both_bf16(0x07F0U)) | (word & both_bf16(0x8000U));
    even = fma_bf16x2(first, both_bf16(0x7B80U), both_bf16(0x8000U));
    odd = fma_bf16x2(second, both_bf16(0x7B80U), both_bf16(0x8000U));
  }

  static constexpr uint32_t kOffset = kLayout == WeightLayout::kNibble ? 8 : (kLayout == WeightLayout::kFive ? 16 : 0);

  // Nibbles i and i + 4, in bits 4 more of `fifth`, as 128 + the integer, less that and the offset.
  static __device__ __forceinline__ void nibbles(uint32_t word, uint32_t fifth, uint32_t (&pairs)[4]) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if constexpr (kLayout == WeightLayout::kNibbleFp4) {
        // The exponent is another's: twice the values are 2^127 too small.
        const uint32_t magnitude =
            i < 2 ? word << static_cast<uint32_t>(6 - 4 * i) : word >> static_cast<uint32_t>(4 * i - 6);
        const uint32_t sign = word << static_cast<uint32_t>(12 - 4 * i);
        pairs[i] = fma_bf16x2((magnitude & both_bf16(0x01C0U)) | (sign & both_bf16(0x8000U)), both_bf16(0x7F00U),
                              both_bf16(0x8000U));
      } else {
        uint32_t two = masked_or(word >> static_cast<uint32_t>(4 * i), both_bf16(0xFU), both_bf16(0x4300U));
        if constexpr (kFive) {
          two = masked_or(fifth << static_cast<uint32_t>(4 - i), both_bf16(0x10U), two);
        }
        pairs[i] = fma_bf16x2(two, both_bf16(0x3F80U), both_bf16(0xC300U | kOffset));
      }
    }
  }

  // Of each 16 columns four, in half a word of nibbles and a byte of higher bits.
  static __device__ __forceinline__ void six(Shared<uint32_t> integers, Shared<uint32_t> high, int window, int lane,
                                             uint32_t (&pairs)[4]) {
    const int row = lane / 4;
    const int t = lane % 4;
#pragma unroll
    for (int step = 0; step < 2; ++step) {
      const uint32_t word = integers[(window * kRowBlock + row) * 4 + 2 * step + t / 2];
      const uint32_t half = word >> static_cast<uint32_t>(t % 2 * 16);
      const uint32_t low = (half & 0xFFU) | (half << 8U & 0xFF0000U);
      const uint32_t byte = high[(window * 2 + step) * kRowBlock + row] >> static_cast<uint32_t>(8 * t);
      const uint32_t bits = (byte & 0xFU) | (byte << 12U & 0xF0000U);
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const uint32_t high_bits =
            masked_or(bits << static_cast<uint32_t>(4 - 2 * i), both_bf16(0x30U), both_bf16(0x4300U));
        const uint32_t two = masked_or(low >> static_cast<uint32_t>(4 * i), both_bf16(0xFU), high_bits);
        pairs[2 * step + i] = fma_bf16x2(two, both_bf16(0x3F80U), both_bf16(0xC300U | 32U));
      }
    }
  }
};

}  // namespace longship::cuda
