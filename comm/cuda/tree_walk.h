#pragma once

#include "comm/cuda/tree_program.h"
#include "cuda/device.h"

namespace longship {

/// The root of one element: value(rank, node) is node `node` of `rank`. Adds in the order of comm/tree_sum.h.
template <class Value>
__device__ __forceinline__ float sum_along(const TreeProgram& tree, const Value& value) {
  float waiting[TreeProgram::kMostDepth];
  int depth = 0;
  float newest = 0.0F;
  for (int rank = 0; rank < tree.ranks; ++rank) {
    const int first = tree.first_node[rank];
    for (int node = first; node < tree.first_node[rank + 1]; ++node) {
      if (node > 0) {
        waiting[depth++] = newest;
      }
      newest = value(rank, node - first);
      for (int merge = tree.merges[node]; merge > 0; --merge) {
        newest = waiting[--depth] + newest;
      }
    }
  }
  return newest;
}

}  // namespace longship
