#pragma once

// Which shape of a block multiplies how many tokens.

#include "engine/backend/cuda/kernels/tensor_linear_kernel.h"

namespace longship::cuda {

template <WeightLayout kLayout>
void launch_tensor_layout(const TensorLinearArguments& task, StreamHandle stream) {
  using W = TensorWeight<kLayout>;
  if (task.tokens == 1) {
    launch_tensor_shape<W, TensorShape<1, true, false, 1, 8, 1, 4, 3, 2>>(task, stream);
  } else if (task.tokens <= 4) {
    launch_tensor_shape<W, TensorShape<4, true, false, 4, 1, 2, 4, 3, 2>>(task, stream);
  } else if (task.tokens <= 8) {
    launch_tensor_shape<W, TensorShape<8, true, true, 4, 2, 2, 4, 3, 2>>(task, stream);
  } else if (task.tokens <= 16) {
    launch_tensor_shape<W, TensorShape<16, true, true, 4, 2, 2, 4, 3, 2>>(task, stream);
  } else if (task.tokens <= 32) {
    launch_tensor_shape<W, TensorShape<32, false, true, 4, 2, 2, 4, 3, 2>>(task, stream);
  } else {
    launch_tensor_shape<W, TensorShape<64, false, true, 8, 1, 2, 4, 3, 1>>(task, stream);
  }
}

}  // namespace longship::cuda
