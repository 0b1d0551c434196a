#include "engine/backend/cuda/kernels/tensor_linear.h"
#include "engine/backend/cuda/kernels/tensor_linear_shapes.h"

namespace longship::cuda {

void launch_tensor_bytes(WeightLayout layout, const TensorLinearArguments& arguments, StreamHandle stream) {
  switch (layout) {
    case WeightLayout::kFp8:
      return launch_tensor_layout<WeightLayout::kFp8>(arguments, stream);
    default:
      return launch_tensor_layout<WeightLayout::kByte>(arguments, stream);
  }
}

}  // namespace longship::cuda
