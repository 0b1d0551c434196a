#include "engine/backend/cuda/kernels/linear.h"

#include "engine/backend/cuda/kernels/linear_kernel.h"

namespace longship::cuda {

void launch_linear(WeightLayout layout, const LinearArguments& arguments, StreamHandle stream) {
  switch (layout) {
    case WeightLayout::kF32:
      return launch_format<PlainFormat<WeightLayout::kF32>>(arguments, stream);
    case WeightLayout::kF16:
      return launch_format<PlainFormat<WeightLayout::kF16>>(arguments, stream);
    case WeightLayout::kBF16:
      return launch_format<PlainFormat<WeightLayout::kBF16>>(arguments, stream);
    default:
      return launch_quantised_linear(layout, arguments, stream);
  }
}

}  // namespace longship::cuda
