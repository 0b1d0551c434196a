#pragma once

// How kernels read and write activations: as a ValueType says.

#include "cuda/device.h"
#include "cuda/ptx.h"
#include "engine/backend/cuda/kernels/narrow.h"

namespace longship::cuda {

struct F32Values {
  using Stored = float;
  static __device__ __forceinline__ float to_float(float value) { return value; }
  static __device__ __forceinline__ float from_float(float value) { return value; }
};

struct Bf16Values {
  using Stored = uint16_t;
  static __device__ __forceinline__ float to_float(uint16_t bits) { return float_from_bf16(bits); }
  static __device__ __forceinline__ uint16_t from_float(float value) { return bf16_from_float(value); }
  static __device__ __forceinline__ uint32_t pack(float low, float high) { return pack_bf16(low, high); }
};

/// What is too large becomes the largest.
struct F16Values {
  using Stored = uint16_t;
  static __device__ __forceinline__ float to_float(uint16_t bits) { return float_from_f16(bits); }
  static __device__ __forceinline__ uint16_t from_float(float value) { return f16_from_float(within(value)); }
  static __device__ __forceinline__ uint32_t pack(float low, float high) { return pack_f16(within(low), within(high)); }

 private:
  static __device__ __forceinline__ float within(float value) {
    constexpr float kLargest = 65504.0F;
    return value > kLargest ? kLargest : (value < -kLargest ? -kLargest : value);  // NaN stays
  }
};

/// Calls function(Values) for the values of a type.
template <class Function>
void with_values(ValueType type, const Function& function) {
  switch (type) {
    case ValueType::kF32:
      return function(F32Values());
    case ValueType::kF16:
      return function(F16Values());
    case ValueType::kBf16:
      return function(Bf16Values());
  }
}

/// Eight values, aligned to 16 bytes.
template <class Values>
__device__ __forceinline__ void load_eight(const typename Values::Stored* from, float (&values)[8]) {
  const uint4* pieces = reinterpret_cast<const uint4*>(from);
  if constexpr (sizeof(typename Values::Stored) == 4) {
    const uint4 low = pieces[0];
    const uint4 high = pieces[1];
    const uint32_t words[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      values[i] = __uint_as_float(words[i]);
    }
  } else {
    const uint4 piece = pieces[0];
    const uint32_t words[4] = {piece.x, piece.y, piece.z, piece.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      values[2 * i] = Values::to_float(static_cast<uint16_t>(words[i]));
      values[2 * i + 1] = Values::to_float(static_cast<uint16_t>(words[i] >> 16U));
    }
  }
}

template <class Values>
__device__ __forceinline__ uint4 pack_eight(const float (&values)[8]) {
  return make_uint4(Values::pack(values[0], values[1]), Values::pack(values[2], values[3]),
                    Values::pack(values[4], values[5]), Values::pack(values[6], values[7]));
}

template <class Values>
__device__ __forceinline__ void store_eight(const float (&values)[8], typename Values::Stored* out) {
  if constexpr (sizeof(typename Values::Stored) == 4) {
    auto* to = reinterpret_cast<float4*>(out);
    to[0] = make_float4(values[0], values[1], values[2], values[3]);
    to[1] = make_float4(values[4], values[5], values[6], values[7]);
  } else {
    *reinterpret_cast<uint4*>(out) = pack_eight<Values>(values);
  }
}

/// A row that is written value by value: `row[i] = value`.
template <class Values>
struct StoredRow {
  struct Value {
    typename Values::Stored* at;
    __device__ __forceinline__ void operator=(float value) const { *at = Values::from_float(value); }
  };
  typename Values::Stored* first;
  __device__ __forceinline__ Value operator[](int i) const { return {first + i}; }
};

}  // namespace longship::cuda
