#include "engine/backend/cuda/kernels/tensor_linear.h"
#include "engine/backend/cuda/kernels/tensor_linear_shapes.h"

namespace longship::cuda {

void launch_tensor_nibbles(WeightLayout layout, const TensorLinearArguments& arguments, StreamHandle stream) {
  switch (layout) {
    case WeightLayout::kNibble:
      return launch_tensor_layout<WeightLayout::kNibble>(arguments, stream);
    case WeightLayout::kNibbleMin:
      return launch_tensor_layout<WeightLayout::kNibbleMin>(arguments, stream);
    default:
      return launch_tensor_layout<WeightLayout::kNibbleFp4>(arguments, stream);
  }
}

}  // namespace longship::cuda
