#include "engine/backend/cuda/kernels/tensor_linear.h"
#include "engine/backend/cuda/kernels/tensor_linear_shapes.h"

namespace longship::cuda {

void launch_tensor_planes(WeightLayout layout, const TensorLinearArguments& arguments, StreamHandle stream) {
  switch (layout) {
    case WeightLayout::kFive:
      return launch_tensor_layout<WeightLayout::kFive>(arguments, stream);
    case WeightLayout::kFiveMin:
      return launch_tensor_layout<WeightLayout::kFiveMin>(arguments, stream);
    default:
      return launch_tensor_layout<WeightLayout::kSix>(arguments, stream);
  }
}

}  // namespace longship::cuda
