#pragma once

// Reading keys and values of every type of the cache, two side by side; kv_page.h says where they stand.

#include "cuda/device.h"
#include "cuda/ptx.h"
#include "engine/backend/cuda/kernels/kv_cache.h"

namespace longship::cuda {

/// Values `index` and `index` + 1 of a page as they are stored; `index` is even.
template <KvType kType>
__device__ __forceinline__ float2 load_pair(const std::byte* page, int index) {
  if constexpr (kType == KvType::kF32) {
    return *reinterpret_cast<const float2*>(page + index * 4);
  } else if constexpr (kType == KvType::kQ8) {
    const unsigned short both = *reinterpret_cast<const unsigned short*>(page + index);
    return make_float2(static_cast<float>(static_cast<signed char>(both & 255U)),
                       static_cast<float>(static_cast<signed char>(both >> 8U)));
  } else {
    const unsigned both = *reinterpret_cast<const unsigned*>(page + index * 2);
    const auto low = static_cast<unsigned short>(both);
    const auto high = static_cast<unsigned short>(both >> 16U);
    return kType == KvType::kF16 ? make_float2(float_from_f16(low), float_from_f16(high))
                                 : make_float2(float_from_bf16(low), float_from_bf16(high));
  }
}

/// Dimension i of the keys `key` and `key` + 1 of a page [Dh, 64]. The scales of kQ8 follow: [Dh / 32, 64].
template <KvType kType>
__device__ __forceinline__ float2 load_keys(const std::byte* page, int head_dim, int i, int key) {
  float2 pair = load_pair<kType>(page, i * kChunkKeys + key);
  if constexpr (kType == KvType::kQ8) {
    const float2 scales = load_pair<KvType::kF16>(page + head_dim * kChunkKeys, i / kScaleBlock * kChunkKeys + key);
    pair = make_float2(pair.x * scales.x, pair.y * scales.y);
  }
  return pair;
}

/// Dimensions i and i + 1 of the value `key` of a page [64, Dh]; i is even. The scales of kQ8 follow: [64, Dh / 32].
/// A last dimension without a second one has zero beside it.
template <KvType kType>
__device__ __forceinline__ float2 load_values(const std::byte* page, int head_dim, int i, int key) {
  const int index = key * head_dim + i;
  if constexpr (kType == KvType::kQ8) {
    const float2 pair = load_pair<kType>(page, index);
    const auto* scales = reinterpret_cast<const unsigned short*>(page + head_dim * kChunkKeys);
    const float scale = float_from_f16(scales[index / kScaleBlock]);
    return make_float2(pair.x * scale, pair.y * scale);
  } else {
    if (head_dim % 2 == 0) {
      return load_pair<kType>(page, index);
    }
    const float2 low = load_pair<kType>(page, index / 2 * 2);
    const float first = index % 2 == 0 ? low.x : low.y;
    if (i + 1 == head_dim) {
      return make_float2(first, 0.0F);
    }
    return make_float2(first, index % 2 == 0 ? low.y : load_pair<kType>(page, index + 1).x);
  }
}

}  // namespace longship::cuda
