#include "engine/backend/cuda/kernels/grouped_linear_kernel.h"

// Weights of one layout of blocks: a kernel for each, so that none takes registers for the others.

namespace longship::cuda {

namespace {

template <class Format, WeightLayout kLayout, int T>
__global__ void __launch_bounds__(kLinearWarps* kWarp, kLinearBlocks<Format, T>)
    grouped_linear_kernel(const GroupedLinearArguments task) {
  each_group<T>(
      task, [](WeightLayout layout) { return layout == kLayout; },
      [&](const GroupedWeight& weight, const PlacesOfGroup& places, int first_row, const LinearMemory<T>& memory) {
        multiply_group<Format, T>(task, weight, places, first_row, memory);
      });
}

template <class Format, WeightLayout kLayout, int T>
void launch_places(const GroupedLinearArguments& task, StreamHandle stream) {
  launch(grouped_linear_kernel<Format, kLayout, T>, "grouped_linear", grouped_shape<T>(task, stream), task);
}

template <class Format, WeightLayout kLayout>
void launch_layout(const GroupedLinearArguments& task, StreamHandle stream) {
  if (task.places == 1) {
    launch_places<Format, kLayout, 1>(task, stream);
  } else if (task.places <= kFewPlaces) {
    launch_places<Format, kLayout, 4>(task, stream);
  } else {
    launch_places<Format, kLayout, 8>(task, stream);
  }
}

template <WeightLayout kLayout>
void launch_blocks(const GroupedLinearArguments& task, StreamHandle stream) {
  launch_layout<BlockFormat<kLayout>, kLayout>(task, stream);
}

}  // namespace

void launch_grouped_blocks(WeightLayout layout, const GroupedLinearArguments& task, StreamHandle stream) {
  switch (layout) {
    case WeightLayout::kByte:
      return launch_blocks<WeightLayout::kByte>(task, stream);
    case WeightLayout::kNibble:
      return launch_blocks<WeightLayout::kNibble>(task, stream);
    case WeightLayout::kNibbleMin:
      return launch_blocks<WeightLayout::kNibbleMin>(task, stream);
    case WeightLayout::kNibbleFp4:
      return launch_blocks<WeightLayout::kNibbleFp4>(task, stream);
    case WeightLayout::kFive:
      return launch_blocks<WeightLayout::kFive>(task, stream);
    case WeightLayout::kFiveMin:
      return launch_blocks<WeightLayout::kFiveMin>(task, stream);
    case WeightLayout::kFp8:
      return launch_layout<Fp8Format, WeightLayout::kFp8>(task, stream);
    default:
      return launch_blocks<WeightLayout::kSix>(task, stream);
  }
}

}  // namespace longship::cuda
