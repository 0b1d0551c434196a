#include "engine/backend/cuda/kernels/linear.h"
#include "engine/backend/cuda/kernels/linear_kernel.h"

namespace longship::cuda {

void launch_quantised_linear(WeightLayout layout, const LinearArguments& arguments, StreamHandle stream) {
  switch (layout) {
    case WeightLayout::kByte:
      return launch_format<BlockFormat<WeightLayout::kByte>>(arguments, stream);
    case WeightLayout::kNibble:
      return launch_format<BlockFormat<WeightLayout::kNibble>>(arguments, stream);
    case WeightLayout::kNibbleMin:
      return launch_format<BlockFormat<WeightLayout::kNibbleMin>>(arguments, stream);
    case WeightLayout::kNibbleFp4:
      return launch_format<BlockFormat<WeightLayout::kNibbleFp4>>(arguments, stream);
    case WeightLayout::kFive:
      return launch_format<BlockFormat<WeightLayout::kFive>>(arguments, stream);
    case WeightLayout::kFiveMin:
      return launch_format<BlockFormat<WeightLayout::kFiveMin>>(arguments, stream);
    case WeightLayout::kFp8:
      return launch_format<Fp8Format>(arguments, stream);
    default:
      return launch_format<BlockFormat<WeightLayout::kSix>>(arguments, stream);
  }
}

}  // namespace longship::cuda
