#include "engine/backend/cuda/tensor_product.h"

#include "cuda/memory.h"

namespace longship::cuda {

namespace {

int64_t operand_bytes(int64_t columns) {
  return (columns + kBlockColumns - 1) / kBlockColumns * kBlockColumns * kOperandBytes;
}

int64_t sum_bytes(int64_t columns) {
  return (columns + kBlockColumns - 1) / kBlockColumns * kOperandSums * static_cast<int64_t>(sizeof(float));
}

}  // namespace

int64_t TensorProduct::scratch_bytes(int64_t max_columns) {
  return operand_bytes(max_columns) + sum_bytes(max_columns);
}

void TensorProduct::reserve(int64_t max_columns) {
  max_columns_ = max_columns;
  operands_ = allocate_device(static_cast<std::size_t>(operand_bytes(max_columns)));
  operand_sums_ = allocate_device(static_cast<std::size_t>(sum_bytes(max_columns)));
}

bool TensorProduct::multiply(WeightLayout layout, const LinearArguments& task, std::span<const Range> nodes,
                             StreamHandle stream) {
  if (!enough_memory_ || layout == WeightLayout::kF32 || task.tokens > kMostTensorTokens ||
      task.columns % kBlockColumns != 0 || task.columns > max_columns_ || nodes.size() > kMaxTensorNodes) {
    return false;
  }
  TensorLinearArguments arguments{task};
  for (const Range& node : nodes) {
    if (node.begin % kBlockColumns != 0 || node.end % kBlockColumns != 0) {
      return false;
    }
    arguments.ranges[arguments.node_count++] = {static_cast<int32_t>(node.begin), static_cast<int32_t>(node.end)};
  }
  arguments.multiprocessors = multiprocessors_;
  arguments.operands = operands_.get();
  arguments.operand_sums = static_cast<float*>(operand_sums_.get());
  launch_tensor_linear(layout, arguments, stream);
  return true;
}

}  // namespace longship::cuda
