#pragma once

// Activations as right operands of mma: of 32 columns each lane has eight values of one column of the operand, in the
// order in which weights are unpacked. For few tokens an activation is the sum of two bf16, in columns 2 i and 2 i + 1
// of token i; for more it is rounded to one.

#include "cuda/device.h"
#include "cuda/ptx.h"
#include "engine/backend/cuda/kernels/tensor_linear.h"

namespace longship::cuda {

/// Which columns of 32 lane class t = lane % 4 has, as the two values of each of four words.
enum class ColumnOrder : uint8_t {
  kPairs,     ///< 8 k + 2 t and the next, in word k.
  kBytes,     ///< Of 8 from 8 t on: 0 and 2, 1 and 3, 4 and 6, 5 and 7.
  kNibbles,   ///< Of 8 from 8 t on: k and k + 4.
  kSixteens,  ///< As kBytes, of 4 from 4 t on and 4 from 16 + 4 t on.
};

template <ColumnOrder kOrder>
struct OperandOrder {
  /// A lane's values, in the order of columns.
  static __device__ __forceinline__ void load(const float* columns, int t, float (&values)[8]) {
    if constexpr (kOrder == ColumnOrder::kPairs) {
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const float2 two = *reinterpret_cast<const float2*>(columns + 8 * k + 2 * t);
        values[2 * k] = two.x;
        values[2 * k + 1] = two.y;
      }
    } else {
      const float4 low = *reinterpret_cast<const float4*>(columns + first_four(t));
      const float4 high = *reinterpret_cast<const float4*>(columns + second_four(t));
      values[0] = low.x;
      values[1] = low.y;
      values[2] = low.z;
      values[3] = low.w;
      values[4] = high.x;
      values[5] = high.y;
      values[6] = high.z;
      values[7] = high.w;
    }
  }

  static __device__ __forceinline__ int first_four(int t) {
    return kOrder == ColumnOrder::kSixteens ? 4 * t : 8 * t;
  }
  static __device__ __forceinline__ int second_four(int t) {
    return first_four(t) + (first_four(1) == 4 ? 16 : 4);
  }

  /// Which two of the eight values are in word k.
  static constexpr __host__ __device__ int low_of(int k) {
    return kOrder == ColumnOrder::kPairs ? 2 * k : (kOrder == ColumnOrder::kNibbles ? k : k / 2 * 4 + k % 2);
  }
  static constexpr __host__ __device__ int high_of(int k) {
    return low_of(k) + (kOrder == ColumnOrder::kPairs ? 1 : (kOrder == ColumnOrder::kNibbles ? 4 : 2));
  }

  /// The values rounded to bf16, and what they lack.
  static __device__ __forceinline__ void convert(const float (&values)[8], uint4& rounded, uint4& rest) {
    uint32_t first[4];
    uint32_t second[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const float low = values[low_of(k)];
      const float high = values[high_of(k)];
      first[k] = pack_bf16(low, high);
      second[k] = pack_bf16(low - __uint_as_float(first[k] << 16U), high - __uint_as_float(first[k] & 0xFFFF0000U));
    }
    rounded = make_uint4(first[0], first[1], first[2], first[3]);
    rest = make_uint4(second[0], second[1], second[2], second[3]);
  }

  /// The sum of 32 columns, from the values of the four lanes that have them.
  static __device__ __forceinline__ float sum(const float (&values)[8]) {
    float sum =
        ((values[0] + values[1]) + (values[2] + values[3])) + ((values[4] + values[5]) + (values[6] + values[7]));
    sum += __shfl_xor_sync(kFullMask, sum, 1);
    sum += __shfl_xor_sync(kFullMask, sum, 2);
    return sum;
  }
};

/// Activations of a stage as right operands, [windows][tiles][lanes], and with minima their sums over 32 columns,
/// [windows][columns]: converted by the warps of the same columns, a stage ahead. Two buffers.
template <class W, class S>
class ConvertedOperands {
 public:
  /// Lanes that have no column of the operand share a piece of zeros.
  static constexpr int kHeld = S::kLanes == kWarp ? kWarp : S::kLanes + 1;
  static constexpr int kOperands = S::kWindows * S::kTiles * kHeld;
  static constexpr int kBuffers = 2;
  static constexpr int kSums = W::kMinimum ? S::kWindows * S::kTiles * 8 : 0;

  __device__ ConvertedOperands(const TensorLinearArguments& task, int first_window, int end_window, int thread,
                               Shared<uint4> operands, Shared<float> sums)
      : x_(task.x),
        columns_(task.columns),
        tokens_(task.tokens),
        first_window_(first_window),
        end_window_(end_window),
        thread_(thread),
        operands_(operands),
        sums_(sums) {
    if constexpr (kHeld != kWarp) {
      for (int window = thread; window < kBuffers * S::kWindows * S::kTiles; window += kThreads) {
        operands_[window * kHeld + S::kLanes] = make_uint4(0, 0, 0, 0);
      }
      if constexpr (W::kMinimum) {
        for (int i = thread; i < kBuffers * kSums; i += kThreads) {
          sums_[i] = 0.0F;
        }
        __syncwarp(kFullMask);
      }
    }
  }

  /// Reads the thread's part of stage i.
  __device__ __forceinline__ void load(int i) {
#pragma unroll
    for (int item = 0; item < kItems; ++item) {
      const Place at = place(item);
      const int window = first_window_ + i * S::kWindows + at.window;
#pragma unroll
      for (int k = 0; k < 8; ++k) {
        held_[item][k] = 0.0F;
      }
      if (at.token < S::kTokens && at.token < tokens_ && window < end_window_) {
        Order::load(x_ + static_cast<int64_t>(at.token) * columns_ + window * kBlockColumns, at.t, held_[item]);
      }
    }
  }

  /// Puts them where stage i has them.
  __device__ __forceinline__ void store(int i) const {
#pragma unroll
    for (int item = 0; item < kItems; ++item) {
      const Place at = place(item);
      uint4 rounded;
      uint4 rest;
      Order::convert(held_[item], rounded, rest);
      const int column = at.token * (S::kSplit ? 2 : 1);
      const bool there = kWhole || at.token < S::kTokens;
      if (there) {
        const int to = i % kBuffers * kOperands + (at.window * S::kTiles + column / 8) * kHeld + column % 8 * 4 + at.t;
        operands_[to] = rounded;
        if constexpr (S::kSplit) {
          operands_[to + 4] = rest;
        }
      }
      if constexpr (W::kMinimum) {
        const float sum = Order::sum(held_[item]);
        if (there && at.t < (S::kSplit ? 2 : 1)) {
          sums_[i % kBuffers * kSums + at.window * S::kTiles * 8 + column + at.t] = at.t == 0 ? sum : 0.0F;
        }
      }
    }
  }

  __device__ __forceinline__ uint4 operand(int i, int window, int tile) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    return operands_[i % kBuffers * kOperands + (window * S::kTiles + tile) * kHeld + min(lane, kHeld - 1)];
  }

  /// Sums of the lane's two columns.
  __device__ __forceinline__ float2 sums(int i, int window, int tile) const {
    const int t = static_cast<int>(threadIdx.x) % 4;
    return shared_cast<float2>(sums_)[(i % kBuffers * kSums + (window * S::kTiles + tile) * 8) / 2 + t];
  }

 private:
  using Order = OperandOrder<W::kOrder>;
  static constexpr int kThreads = S::kRowWarps * kWarp;
  static constexpr int kCount = S::kTokens * S::kWindows * 4;
  static constexpr int kItems = (kCount + kThreads - 1) / kThreads;
  static constexpr bool kWhole = kCount % kThreads == 0;

  struct Place {
    int token;
    int window;
    int t;
  };
  __device__ __forceinline__ Place place(int item) const {
    const int index = item * kThreads + thread_;
    return {index / (4 * S::kWindows), index / 4 % S::kWindows, index % 4};
  }

  const float* x_;
  int columns_;
  int tokens_;
  int first_window_;
  int end_window_;
  int thread_;
  Shared<uint4> operands_;
  Shared<float> sums_;
  float held_[kItems][8];
};

/// The same, converted by a kernel before: copied, as many stages ahead as the weight.
template <class W, class S>
class CopiedOperands {
 public:
  static constexpr int kOperands = S::kWindows * S::kTiles * kWarp;
  static constexpr int kBuffers = S::kStages;
  static constexpr int kSums = W::kMinimum ? S::kWindows * S::kTiles * 8 : 0;

  __device__ CopiedOperands(const TensorLinearArguments& task, int first_window, int end_window, int thread,
                            Shared<uint4> operands, Shared<float> sums)
      : from_(static_cast<const uint4*>(task.operands) + static_cast<int64_t>(first_window) * (S::kTiles * kWarp)),
        from_sums_(task.operand_sums + static_cast<int64_t>(first_window) * (S::kTiles * 8)),
        windows_(end_window - first_window),
        thread_(thread),
        operands_(operands),
        sums_(sums) {}

  /// Starts to copy the thread's part of stage i.
  __device__ __forceinline__ void copy(int i) const {
    const int left = windows_ - i * S::kWindows;
    const uint4* from = from_ + static_cast<int64_t>(i) * kOperands;
#pragma unroll
    for (int piece = 0; piece < kOperands; piece += kThreads) {
      const int index = piece + thread_;
      if (kOperands % kThreads == 0 || index < kOperands) {
        cp_async_16(operands_ + (i % kBuffers * kOperands + index), from + index, index / (S::kTiles * kWarp) < left);
      }
    }
    if constexpr (W::kMinimum) {
      const float* sums = from_sums_ + static_cast<int64_t>(i) * kSums;
#pragma unroll
      for (int piece = 0; piece < kSums / 4; piece += kThreads) {
        const int index = piece + thread_;
        if (index < kSums / 4) {
          cp_async_16(sums_ + (i % kBuffers * kSums + 4 * index), sums + 4 * index, index / (S::kTiles * 2) < left);
        }
      }
    }
  }

  __device__ __forceinline__ uint4 operand(int i, int window, int tile) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    return operands_[i % kBuffers * kOperands + (window * S::kTiles + tile) * kWarp + lane];
  }

  __device__ __forceinline__ float2 sums(int i, int window, int tile) const {
    const int t = static_cast<int>(threadIdx.x) % 4;
    return shared_cast<float2>(sums_)[(i % kBuffers * kSums + (window * S::kTiles + tile) * 8) / 2 + t];
  }

 private:
  static constexpr int kThreads = S::kRowWarps * kWarp;

  const uint4* from_;
  const float* from_sums_;
  int windows_;
  int thread_;
  Shared<uint4> operands_;
  Shared<float> sums_;
};

/// Converts the tokens of a product, kTiles * 8 columns of operands for each 32 columns.
inline constexpr int kConvertThreads = 128;

template <ColumnOrder kOrder, bool kSplit>
__global__ void __launch_bounds__(kConvertThreads)
    convert_activations_kernel(const float* x, int tokens, int columns, int tiles, uint4* operands, float* sums) {
  let_next_kernel_begin();
  wait_for_kernels_before();
  const int index = static_cast<int>(blockIdx.x) * kConvertThreads + static_cast<int>(threadIdx.x);
  const int window = index / 4;
  const int t = index % 4;
  const int token = static_cast<int>(blockIdx.y);
  const int column = token * (kSplit ? 2 : 1);
  const bool there = window < columns / kBlockColumns;
  float values[8] = {};
  if (there && token < tokens) {
    OperandOrder<kOrder>::load(x + static_cast<int64_t>(token) * columns + window * kBlockColumns, t, values);
  }
  uint4 rounded;
  uint4 rest;
  OperandOrder<kOrder>::convert(values, rounded, rest);
  const float sum = OperandOrder<kOrder>::sum(values);
  if (there) {
    uint4* to = operands + (static_cast<int64_t>(window) * tiles + column / 8) * kWarp + column % 8 * 4 + t;
    to[0] = rounded;
    if constexpr (kSplit) {
      to[4] = rest;
    }
    if (t < (kSplit ? 2 : 1)) {
      sums[static_cast<int64_t>(window) * tiles * 8 + column + t] = t == 0 ? sum : 0.0F;
    }
  }
}

}  // namespace longship::cuda
