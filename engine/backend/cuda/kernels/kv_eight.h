#pragma once

// Reading keys and values of every type of the cache, eight side by side, 16 bytes a load (8 of q8_0, whose scales are
// apart); kv_page.h says where they stand.

#include "cuda/device.h"
#include "cuda/ptx.h"
#include "engine/backend/cuda/kernels/kv_cache.h"

namespace longship::cuda {

/// Values that are read at once.
inline constexpr int kEight = 8;

/// Value `index` of a page as it is stored, of a plain type.
template <KvType kType>
__device__ __forceinline__ float load_one(const std::byte* page, int index) {
  if constexpr (kType == KvType::kF32) {
    return reinterpret_cast<const float*>(page)[index];
  } else {
    const unsigned short bits = reinterpret_cast<const unsigned short*>(page)[index];
    return kType == KvType::kF16 ? float_from_f16(bits) : float_from_bf16(bits);
  }
}

/// Values [index, index + 8) of a page as they are stored; `index` is a multiple of 8.
template <KvType kType>
__device__ __forceinline__ void load_eight(const std::byte* page, int index, float (&x)[kEight]) {
  if constexpr (kType == KvType::kF32) {
    const float4 low = reinterpret_cast<const float4*>(page)[index / 4];
    const float4 high = reinterpret_cast<const float4*>(page)[index / 4 + 1];
    x[0] = low.x, x[1] = low.y, x[2] = low.z, x[3] = low.w;
    x[4] = high.x, x[5] = high.y, x[6] = high.z, x[7] = high.w;
  } else if constexpr (kType == KvType::kQ8) {
    const uint2 bytes = reinterpret_cast<const uint2*>(page)[index / kEight];
#pragma unroll
    for (int i = 0; i < kEight; ++i) {
      const unsigned word = i < 4 ? bytes.x : bytes.y;
      x[i] = static_cast<float>(static_cast<signed char>(word >> static_cast<unsigned>(i % 4 * 8)));
    }
  } else {
    const uint4 bytes = reinterpret_cast<const uint4*>(page)[index / kEight];
    const unsigned words[4] = {bytes.x, bytes.y, bytes.z, bytes.w};
#pragma unroll
    for (int i = 0; i < kEight; ++i) {
      const auto bits = static_cast<unsigned short>(words[i / 2] >> static_cast<unsigned>(i % 2 * 16));
      x[i] = kType == KvType::kF16 ? float_from_f16(bits) : float_from_bf16(bits);
    }
  }
}

/// Dimension i of the keys [key, key + 8) of a page [Dh, 64]; `key` is a multiple of 8. The scales of kQ8 follow:
/// [Dh / 32, 64].
template <KvType kType>
__device__ __forceinline__ void load_keys(const std::byte* page, int head_dim, int i, int key, float (&x)[kEight]) {
  load_eight<kType>(page, i * kChunkKeys + key, x);
  if constexpr (kType == KvType::kQ8) {
    float scales[kEight];
    load_eight<KvType::kF16>(page + head_dim * kChunkKeys, i / kScaleBlock * kChunkKeys + key, scales);
#pragma unroll
    for (int j = 0; j < kEight; ++j) {
      x[j] *= scales[j];
    }
  }
}

/// Dimensions [i, i + 8) of the value `key` of a page [64, Dh]; i is a multiple of 8. The scales of kQ8 follow:
/// [64, Dh / 32]. Zeros behind the last dimension, where values that do not begin at 16 bytes are read one by one.
template <KvType kType>
__device__ __forceinline__ void load_values(const std::byte* page, int head_dim, int i, int key, float (&x)[kEight]) {
  const int index = key * head_dim + i;
  if constexpr (kType == KvType::kQ8) {
    load_eight<kType>(page, index, x);
    const auto* scales = reinterpret_cast<const unsigned short*>(page + head_dim * kChunkKeys);
    const float scale = float_from_f16(scales[index / kScaleBlock]);
#pragma unroll
    for (int j = 0; j < kEight; ++j) {
      x[j] *= scale;
    }
  } else if (head_dim % kEight == 0) {
    load_eight<kType>(page, index, x);
  } else {
#pragma unroll
    for (int j = 0; j < kEight; ++j) {
      x[j] = i + j < head_dim ? load_one<kType>(page, index + j) : 0.0F;
    }
  }
}

}  // namespace longship::cuda
