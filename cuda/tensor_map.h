#pragma once

#include <cstddef>
#include <cstdint>

namespace longship::cuda {

/// How bulk copies find boxes of a tensor in global memory (cuda/ptx.h: copy_box), opaque: as CUtensorMap. Made by
/// Api::encode_tensor_map.
struct alignas(64) TensorMap {
  uint64_t words[16] = {};
};

/// A tensor of 16-bit elements [sizes[2], sizes[1], sizes[0]], the innermost first, and the size of boxes of it, [1,
/// box_rows, 64].
struct TensorMapShape {
  uint64_t sizes[3] = {};
  uint64_t strides[2] = {};  ///< Bytes from one to the next of sizes[1] and of sizes[2]; multiples of 16.
  uint32_t box_rows = 0;
};

}  // namespace longship::cuda
