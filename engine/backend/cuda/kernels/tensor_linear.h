#pragma once

#include "engine/backend/cuda/kernels/linear.h"

namespace longship::cuda {

/// Columns [begin, end) of a node.
struct NodeColumns {
  int32_t begin = 0;
  int32_t end = 0;
};

inline constexpr int kMaxTensorNodes = 16;
/// Most tokens of a product on tensor cores.
inline constexpr int kMostTensorTokens = 64;

/// Shared memory that a block may need.
inline constexpr std::size_t kTensorSharedBytes = 160 * 1024;

/// Room for converted activations.
inline constexpr int kOperandBytes = kMostTensorTokens * 2;
inline constexpr int kOperandSums = kMostTensorTokens;

/// A product on tensor cores, whose runs and depth are not used. Columns, and where nodes begin and end, are multiples
/// of 32; activations are aligned to 16 bytes.
struct TensorLinearArguments : LinearArguments {
  NodeColumns ranges[kMaxTensorNodes] = {};
  int node_count = 0;
  int multiprocessors = 0;
  void* operands = nullptr;       ///< Room for kOperandBytes for each column, where there are more than 4 tokens.
  float* operand_sums = nullptr;  ///< And for kOperandSums for each 32 columns.
};

/// As launch_linear(), gated or not, for up to kMostTensorTokens tokens and every layout but kF32. Activations are
/// multiplied as the sum of two bf16 for up to 16 tokens, and rounded to bf16 for more; weights are not rounded, sums
/// f32.
void launch_tensor_linear(WeightLayout layout, const TensorLinearArguments& arguments, StreamHandle stream);
/// Of layouts of bytes, of nibbles, and of integers in two planes.
void launch_tensor_bytes(WeightLayout layout, const TensorLinearArguments& arguments, StreamHandle stream);
void launch_tensor_nibbles(WeightLayout layout, const TensorLinearArguments& arguments, StreamHandle stream);
void launch_tensor_planes(WeightLayout layout, const TensorLinearArguments& arguments, StreamHandle stream);

}  // namespace longship::cuda
