#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/range.h"
#include "engine/backend/cuda/kernels/tensor_linear.h"

namespace longship::cuda {

/// Products of few tokens on tensor cores.
class TensorProduct {
 public:
  explicit TensorProduct(const DeviceProperties& device)
      : enough_memory_(device.block_shared_bytes >= kTensorSharedBytes), multiprocessors_(device.multiprocessors) {}

  static int64_t scratch_bytes(int64_t max_columns);
  void reserve(int64_t max_columns);

  /// Launches all parts and nodes, or returns false where tokens are too many, or the device, the layout or the columns
  /// not such as the kernels need. `nodes`: the columns of each.
  bool multiply(WeightLayout layout, const LinearArguments& task, std::span<const Range> nodes, StreamHandle stream);

 private:
  bool enough_memory_;
  int multiprocessors_;
  int64_t max_columns_ = 0;
  std::shared_ptr<void> operands_;  // converted activations, and their sums
  std::shared_ptr<void> operand_sums_;
};

}  // namespace longship::cuda
