#include "engine/backend/cuda/kernels/tensor_linear.h"

#include "engine/backend/cuda/kernels/tensor_linear_shapes.h"

namespace longship::cuda {

void launch_tensor_linear(WeightLayout layout, const TensorLinearArguments& arguments, StreamHandle stream) {
  switch (layout) {
    case WeightLayout::kF16:
      return launch_tensor_layout<WeightLayout::kF16>(arguments, stream);
    case WeightLayout::kBF16:
      return launch_tensor_layout<WeightLayout::kBF16>(arguments, stream);
    case WeightLayout::kFp8:
    case WeightLayout::kByte:
      return launch_tensor_bytes(layout, arguments, stream);
    case WeightLayout::kNibble:
    case WeightLayout::kNibbleMin:
    case WeightLayout::kNibbleFp4:
      return launch_tensor_nibbles(layout, arguments, stream);
    default:
      return launch_tensor_planes(layout, arguments, stream);
  }
}

}  // namespace longship::cuda
