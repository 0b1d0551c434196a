#pragma once

// Keys and values of a page, of every type of the cache, brought to shared memory as the 16-bit operands of matrix
// products, eight side by side at a time.

#include "cuda/device.h"
#include "cuda/ptx.h"
#include "engine/backend/cuda/kernels/kv_eight.h"

namespace longship::cuda {

template <KvType kType>
struct TensorOperand {
  static constexpr bool kF16 = kType == KvType::kF16 || kType == KvType::kQ8;
  /// The cache's bytes are the operands'.
  static constexpr bool kAsStored = kType == KvType::kF16 || kType == KvType::kBF16;

  static __device__ __forceinline__ uint32_t pack(float low, float high) {
    return kF16 ? pack_f16(low, high) : pack_bf16(low, high);
  }
  static __device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    if constexpr (kF16) {
      mma_m16n8k16_f16(d, a, b);
    } else {
      mma_m16n8k16_bf16(d, a, b);
    }
  }
};

template <KvType kType>
__device__ __forceinline__ uint4 pack_eight(const float (&x)[kEight]) {
  using Operand = TensorOperand<kType>;
  return make_uint4(Operand::pack(x[0], x[1]), Operand::pack(x[2], x[3]), Operand::pack(x[4], x[5]),
                    Operand::pack(x[6], x[7]));
}

/// Dimension `dim` of the keys [8 piece, 8 piece + 8).
template <KvType kType>
__device__ __forceinline__ void stage_keys(Shared<uint4> to, const std::byte* page, int head_dim, int dim, int piece) {
  if constexpr (TensorOperand<kType>::kAsStored) {
    cp_async_16(to, page + (dim * (kChunkKeys / kEight) + piece) * sizeof(uint4));
  } else {
    float x[kEight];
    load_keys<kType>(page, head_dim, dim, piece * kEight, x);
    to[0] = pack_eight<kType>(x);
  }
}

/// Dimensions [8 piece, 8 piece + 8) of the value `key`; zeros if not `valid`. head_dim is a multiple of 8.
template <KvType kType>
__device__ __forceinline__ void stage_values(Shared<uint4> to, const std::byte* page, int head_dim, int key, int piece,
                                             bool valid) {
  if constexpr (TensorOperand<kType>::kAsStored) {
    cp_async_16(to, page + (key * (head_dim / kEight) + piece) * sizeof(uint4), valid);
  } else {
    float x[kEight] = {};
    if (valid) {
      load_values<kType>(page, head_dim, piece * kEight, key, x);
    }
    to[0] = pack_eight<kType>(x);
  }
}

}  // namespace longship::cuda
