#include "engine/backend/cuda/kernels/grouped_linear_kernel.h"

namespace longship::cuda {

namespace {

constexpr unsigned bit_of(WeightLayout layout) {
  return 1U << static_cast<unsigned>(layout);
}

constexpr unsigned kPlain = bit_of(WeightLayout::kF32) | bit_of(WeightLayout::kF16) | bit_of(WeightLayout::kBF16);

template <int T>
__global__ void __launch_bounds__(kLinearWarps* kWarp, 2) grouped_linear_kernel(const GroupedLinearArguments task) {
  const auto takes = [](WeightLayout layout) { return layout <= WeightLayout::kBF16; };
  const auto multiply = [&](const GroupedWeight& weight, const PlacesOfGroup& places, int first_row,
                            const LinearMemory<T>& memory) {
    if (weight.layout == WeightLayout::kF32) {
      multiply_group<PlainFormat<WeightLayout::kF32>, T>(task, weight, places, first_row, memory);
    } else if (weight.layout == WeightLayout::kF16) {
      multiply_group<PlainFormat<WeightLayout::kF16>, T>(task, weight, places, first_row, memory);
    } else {
      multiply_group<PlainFormat<WeightLayout::kBF16>, T>(task, weight, places, first_row, memory);
    }
  };
  each_group<T>(task, takes, multiply);
}

template <int T>
void launch_places(const GroupedLinearArguments& task, StreamHandle stream) {
  launch(grouped_linear_kernel<T>, "grouped_linear", grouped_shape<T>(task, stream), task);
}

void launch_plain(const GroupedLinearArguments& task, StreamHandle stream) {
  if (task.places == 1) {
    launch_places<1>(task, stream);
  } else if (task.places <= kFewPlaces) {
    launch_places<4>(task, stream);
  } else {
    launch_places<8>(task, stream);
  }
}

}  // namespace

void launch_grouped_linear(GroupedLinearArguments arguments, unsigned layouts, StreamHandle stream) {
  arguments.clears = arguments.out_rows == nullptr;
  if ((layouts & ~kPlain) == 0 || (layouts & kPlain) != 0) {
    launch_plain(arguments, stream);
    arguments.clears = false;
  }
  for (WeightLayout layout = WeightLayout::kByte; layout <= WeightLayout::kFp8;
       layout = static_cast<WeightLayout>(static_cast<int>(layout) + 1)) {
    if ((layouts & bit_of(layout)) != 0) {
      launch_grouped_blocks(layout, arguments, stream);
      arguments.clears = false;
    }
  }
}

}  // namespace longship::cuda
