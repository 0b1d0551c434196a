#pragma once

#include <cstdint>

#include "comm/cuda/tree_program.h"
#include "cuda/api.h"

namespace longship {

/// The nodes of all ranks for some elements, as one rank has them.
struct GatheredNodes {
  TreeProgram tree;
  int32_t rank = 0;
  const float* own = nullptr;  ///< This rank's nodes, `own_stride` values apart.
  int64_t own_stride = 0;
  const float* received = nullptr;  ///< All others' nodes in the order of ranks, `count` values each.
  int64_t count = 0;
};

/// out[i] = the root of element i; `out` may be this rank's only node. Adds in the order of comm/tree_sum.h.
void sum_gathered(const GatheredNodes& nodes, float* out, cuda::StreamHandle stream);

}  // namespace longship
