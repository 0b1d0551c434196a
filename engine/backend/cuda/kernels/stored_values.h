#pragma once

// Values of the ggml block formats, one at a time, each product and sum rounded as the formats' descriptions have it.
// engine/weights/quants.cc reads the same blocks on the host.

#include "core/dtype.h"
#include "cuda/device.h"
#include "cuda/ptx.h"

namespace longship::cuda {

/// Bytes of a block, of any alignment.
class StoredBlock {
 public:
  __device__ explicit StoredBlock(const unsigned char* bytes) : bytes_(bytes) {}

  __device__ __forceinline__ int byte(int at) const { return bytes_[at]; }
  __device__ __forceinline__ int signed_byte(int at) const { return static_cast<signed char>(bytes_[at]); }
  __device__ __forceinline__ unsigned short half_bits(int at) const {
    return static_cast<unsigned short>(bytes_[at] | bytes_[at + 1] << 8);
  }
  __device__ __forceinline__ float half(int at) const { return float_from_f16(half_bits(at)); }
  __device__ __forceinline__ unsigned word(int at) const {
    return half_bits(at) | static_cast<unsigned>(half_bits(at + 2)) << 16U;
  }
  /// Bits [first, first + count) of a byte.
  __device__ __forceinline__ int bits(int at, int first, int count) const {
    return (bytes_[at] >> first) & ((1 << count) - 1);
  }
  /// Value i of 32 in 16 bytes: the low nibbles, then the high ones.
  __device__ __forceinline__ int nibble(int at, int i) const { return bits(at + i % 16, i / 16 * 4, 4); }

 private:
  const unsigned char* bytes_;
};

/// Scale and minimum of run `run` of 32 columns in Q4_K and Q5_K.
struct RunScales {
  float scale;
  float minimum;
};

__device__ __forceinline__ RunScales k_scales(const StoredBlock& block, int run) {
  int scale = 0;
  int minimum = 0;
  if (run < 4) {
    scale = block.bits(4 + run, 0, 6);
    minimum = block.bits(8 + run, 0, 6);
  } else {
    scale = block.bits(8 + run, 0, 4) | block.bits(run, 6, 2) << 4;
    minimum = block.bits(8 + run, 4, 4) | block.bits(4 + run, 6, 2) << 4;
  }
  return {block.half(0) * static_cast<float>(scale), -(block.half(2) * static_cast<float>(minimum))};
}

__device__ __forceinline__ float q2_k_value(const StoredBlock& block, int i) {
  const float scale = block.half(80) * static_cast<float>(block.bits(i / 16, 0, 4));
  const float minimum = -(block.half(82) * static_cast<float>(block.bits(i / 16, 4, 4)));
  return scale * static_cast<float>(block.bits(16 + i / 128 * 32 + i % 32, i / 32 % 4 * 2, 2)) + minimum;
}

__device__ __forceinline__ float q3_k_value(const StoredBlock& block, int i) {
  const int part = i / 16;
  const int low_scale = part < 8 ? block.bits(96 + part, 0, 4) : block.bits(96 + part - 8, 4, 4);
  const int scale = (low_scale | block.bits(104 + part % 4, part / 4 * 2, 2) << 4) - 32;
  const int low = block.bits(32 + i / 128 * 32 + i % 32, i / 32 % 4 * 2, 2);
  const int quant = low | block.bits(i % 32, i / 32, 1) << 2;
  return block.half(108) * static_cast<float>(scale) * static_cast<float>(quant - 4);
}

__device__ __forceinline__ float q4_k_value(const StoredBlock& block, int i) {
  const RunScales scales = k_scales(block, i / 32);
  return scales.scale * static_cast<float>(block.bits(16 + i / 64 * 32 + i % 32, i / 32 % 2 * 4, 4)) + scales.minimum;
}

__device__ __forceinline__ float q5_k_value(const StoredBlock& block, int i) {
  const RunScales scales = k_scales(block, i / 32);
  const int low = block.bits(48 + i / 64 * 32 + i % 32, i / 32 % 2 * 4, 4);
  return scales.scale * static_cast<float>(low | block.bits(16 + i % 32, i / 32, 1) << 4) + scales.minimum;
}

__device__ __forceinline__ float q6_k_value(const StoredBlock& block, int i) {
  const int run = i / 32;
  const int low = block.bits(run / 4 * 64 + run % 2 * 32 + i % 32, run % 4 / 2 * 4, 4);
  const int high = block.bits(128 + run / 4 * 32 + i % 32, run % 4 * 2, 2);
  const float scale = block.half(208) * static_cast<float>(block.signed_byte(192 + i / 16));
  return scale * static_cast<float>((low | high << 4) - 32);
}

/// The non-linear levels of IQ4_NL, offset by 128, four to a word.
__device__ __forceinline__ int iq4_level(int nibble) {
  const unsigned words[4] = {0x3F2D1801U, 0x766A5D4FU, 0xA6998D81U, 0xF1D9C5B5U};
  return static_cast<int>((words[nibble / 4] >> static_cast<unsigned>(nibble % 4 * 8)) & 255U) - 128;
}

/// Twice a value of E2M1, by magnitude in the nibbles of a word.
__device__ __forceinline__ int fp4_doubled(int nibble) {
  const int magnitude = static_cast<int>((0xC8643210U >> static_cast<unsigned>(4 * (nibble % 8))) & 15U);
  return nibble >= 8 ? -magnitude : magnitude;
}

/// Half of the scale 2^(e - 127).
__device__ __forceinline__ float mxfp4_scale(int exponent) {
  const auto bits = static_cast<unsigned>(exponent);
  return __uint_as_float(bits < 2U ? 0x00200000U << bits : (bits - 1U) << 23U);
}

__device__ __forceinline__ int fifth_bit(const StoredBlock& block, int at, int i) {
  return static_cast<int>((block.word(at) >> static_cast<unsigned>(i)) & 1U) << 4;
}

/// Value i of a block.
__device__ inline float stored_value(DType dtype, const StoredBlock& block, int i) {
  switch (dtype) {
    case DType::kF16:
      return block.half(0);
    case DType::kBF16:
      return float_from_bf16(block.half_bits(0));
    case DType::kF8_E4M3:
      return floats_from_e4m3(static_cast<uint16_t>(block.byte(0))).x;
    case DType::kQ8_0:
      return block.half(0) * static_cast<float>(block.signed_byte(2 + i));
    case DType::kQ4_0:
      return block.half(0) * static_cast<float>(block.nibble(2, i) - 8);
    case DType::kQ4_1:
      return block.half(0) * static_cast<float>(block.nibble(4, i)) + block.half(2);
    case DType::kQ5_0:
      return block.half(0) * static_cast<float>((block.nibble(6, i) | fifth_bit(block, 2, i)) - 16);
    case DType::kQ5_1:
      return block.half(0) * static_cast<float>(block.nibble(8, i) | fifth_bit(block, 4, i)) + block.half(2);
    case DType::kQ2_K:
      return q2_k_value(block, i);
    case DType::kQ3_K:
      return q3_k_value(block, i);
    case DType::kQ4_K:
      return q4_k_value(block, i);
    case DType::kQ5_K:
      return q5_k_value(block, i);
    case DType::kQ6_K:
      return q6_k_value(block, i);
    case DType::kIQ4_NL:
      return block.half(0) * static_cast<float>(iq4_level(block.nibble(2, i)));
    case DType::kMXFP4:
      return mxfp4_scale(block.byte(0)) * static_cast<float>(fp4_doubled(block.nibble(1, i)));
    default:
      return __uint_as_float(block.word(0));
  }
}

}  // namespace longship::cuda
