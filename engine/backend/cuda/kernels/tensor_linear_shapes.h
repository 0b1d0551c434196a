#pragma once

// Which shape of a block multiplies how many tokens, as measured on an H200 and an H100. Shapes take at most 160 kB of
// shared memory.

#include "engine/backend/cuda/kernels/tensor_linear_kernel.h"

namespace longship::cuda {

/// Whether blocks of 128 rows are enough for the multiprocessors; fewer rows are divided into smaller blocks, whose
/// warps divide the columns.
inline bool are_many_rows(const TensorLinearArguments& task) {
  constexpr int kTilesOfBlock = 8;
  return tensor_tiles(task) * 5 >= task.multiprocessors * kTilesOfBlock * 3;
}

// TensorShape<tokens, sum of two bf16, converted before, row warps, column warps, row tiles, windows, stages, blocks>
template <bool kPlain>
struct TensorShapes;

template <>
struct TensorShapes<true> {
  using One = TensorShape<1, true, false, 1, 8, 1, 4, 3, 2>;
  using OneByThree = TensorShape<1, true, false, 1, 8, 1, 4, 2, 3>;
  using Narrow8 = TensorShape<8, true, true, 2, 4, 1, 2, 4, 2>;
  using Wide8 = TensorShape<8, true, true, 4, 2, 2, 2, 3, 2>;
  using Narrow16 = TensorShape<16, true, true, 2, 4, 1, 2, 4, 1>;
  using Wide16 = TensorShape<16, true, true, 4, 2, 2, 2, 3, 1>;
  using Wide32 = TensorShape<32, false, true, 4, 2, 2, 2, 3, 1>;
  using Narrow64 = TensorShape<64, false, true, 2, 4, 1, 2, 3, 1>;
  using Wide64 = TensorShape<64, false, true, 4, 1, 2, 2, 4, 2>;
};

template <>
struct TensorShapes<false> {
  using One = TensorShape<1, true, false, 1, 8, 1, 4, 3, 2>;
  using Narrow8 = TensorShape<8, true, true, 2, 4, 1, 4, 3, 2>;
  using Wide8 = TensorShape<8, true, true, 4, 1, 2, 4, 3, 3>;
  using Narrow16 = TensorShape<16, true, true, 2, 4, 1, 4, 3, 1>;
  using Wide16 = TensorShape<16, true, true, 4, 1, 2, 4, 3, 3>;
  using Wide32 = TensorShape<32, false, true, 4, 1, 2, 4, 3, 3>;
  using Narrow64 = TensorShape<64, false, true, 4, 2, 1, 4, 2, 1>;
  using Wide64 = TensorShape<64, false, true, 4, 1, 2, 4, 3, 2>;
};

/// Whether three smaller blocks a multiprocessor have all rows at once, where two would leave some for later.
inline bool fit_in_threes(const TensorLinearArguments& task) {
  const int tiles = tensor_tiles(task);
  return tiles > 2 * task.multiprocessors && tiles <= 3 * task.multiprocessors;
}

/// One token and many rows: what unpacking takes decides.
template <class W>
using WideOne =
    std::conditional_t<W::kPlain, TensorShapes<true>::One,
                       std::conditional_t<W::kFp8, TensorShape<1, true, false, 1, 4, 1, 8, 3, 3>,
                                          TensorShape<1, true, false, 1, 4, 2, 4, 3, W::kHighBytes != 0 ? 3 : 4>>>;

template <WeightLayout kLayout>
void launch_tensor_layout(const TensorLinearArguments& task, StreamHandle stream) {
  using W = TensorWeight<kLayout>;
  using Shapes = TensorShapes<W::kPlain>;
  const bool wide = are_many_rows(task);
  if constexpr (W::kPlain) {
    if (task.tokens == 1 && fit_in_threes(task)) {
      launch_tensor_shape<W, typename Shapes::OneByThree>(task, stream);
      return;
    }
  }
  if (task.tokens == 1) {
    wide ? launch_tensor_shape<W, WideOne<W>>(task, stream)
         : launch_tensor_shape<W, typename Shapes::One>(task, stream);
  } else if (task.tokens <= 8) {
    wide ? launch_tensor_shape<W, typename Shapes::Wide8>(task, stream)
         : launch_tensor_shape<W, typename Shapes::Narrow8>(task, stream);
  } else if (task.tokens <= 16) {
    wide ? launch_tensor_shape<W, typename Shapes::Wide16>(task, stream)
         : launch_tensor_shape<W, typename Shapes::Narrow16>(task, stream);
  } else if (!wide) {
    launch_tensor_shape<W, typename Shapes::Narrow64>(task, stream);
  } else if (task.tokens <= 32) {
    launch_tensor_shape<W, typename Shapes::Wide32>(task, stream);
  } else {
    launch_tensor_shape<W, typename Shapes::Wide64>(task, stream);
  }
}

}  // namespace longship::cuda
