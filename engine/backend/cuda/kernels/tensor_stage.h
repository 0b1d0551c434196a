#pragma once

// Keys and values of a page, of every type of the cache, brought to shared memory as the 16-bit operands of matrix
// products, eight side by side at a time. kv_page.h says where they stand.

#include "cuda/device.h"
#include "cuda/ptx.h"
#include "engine/backend/cuda/kernels/kv_cache.h"

namespace longship::cuda {

/// Values that are brought at once.
inline constexpr int kStaged = 8;

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
__device__ __forceinline__ uint4 pack_eight(const float (&x)[kStaged]) {
  using Operand = TensorOperand<kType>;
  return make_uint4(Operand::pack(x[0], x[1]), Operand::pack(x[2], x[3]), Operand::pack(x[4], x[5]),
                    Operand::pack(x[6], x[7]));
}

/// Values [8 index, 8 index + 8) of a page to `to`, zeros if not `valid`; scale(i) is what integer i is multiplied by.
template <KvType kType, class Scale>
__device__ __forceinline__ void stage_eight(Shared<uint4> to, const std::byte* page, int index, bool valid,
                                            Scale scale) {
  if constexpr (TensorOperand<kType>::kAsStored) {
    cp_async_16(to, page + index * 16, valid);
  } else {
    float x[kStaged] = {};
    if (valid && kType == KvType::kF32) {
      const float4* from = reinterpret_cast<const float4*>(page) + 2 * index;
      const float4 low = from[0];
      const float4 high = from[1];
      x[0] = low.x, x[1] = low.y, x[2] = low.z, x[3] = low.w;
      x[4] = high.x, x[5] = high.y, x[6] = high.z, x[7] = high.w;
    } else if (valid) {
      const uint2 words = reinterpret_cast<const uint2*>(page)[index];
#pragma unroll
      for (int i = 0; i < kStaged; ++i) {
        const unsigned word = i < 4 ? words.x : words.y;
        x[i] = static_cast<float>(static_cast<signed char>(word >> static_cast<unsigned>(i % 4 * 8))) * scale(i);
      }
    }
    to[0] = pack_eight<kType>(x);
  }
}

/// Dimension `dim` of the keys [8 piece, 8 piece + 8).
template <KvType kType>
__device__ __forceinline__ void stage_keys(Shared<uint4> to, const std::byte* page, int head_dim, int dim, int piece) {
  const int index = dim * (kChunkKeys / kStaged) + piece;
  const auto* scales = reinterpret_cast<const unsigned short*>(page + head_dim * kChunkKeys) +
                       dim / kScaleBlock * kChunkKeys + piece * kStaged;
  stage_eight<kType>(to, page, index, true, [=](int i) { return float_from_f16(scales[i]); });
}

/// Dimensions [8 piece, 8 piece + 8) of the value `key`; zeros if not `valid`.
template <KvType kType>
__device__ __forceinline__ void stage_values(Shared<uint4> to, const std::byte* page, int head_dim, int key, int piece,
                                             bool valid) {
  const int index = key * (head_dim / kStaged) + piece;
  const auto* scales = reinterpret_cast<const unsigned short*>(page + head_dim * kChunkKeys);
  stage_eight<kType>(to, page, index, valid,
                     [=](int) { return float_from_f16(scales[index * kStaged / kScaleBlock]); });
}

}  // namespace longship::cuda
