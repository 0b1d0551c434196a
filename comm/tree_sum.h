#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/reduction_tree.h"

namespace longship {

/// Where part `i` of `parts` of `count` values begins; part `parts` begins at `count`. Parts begin at whole
/// cache lines, so that two ranks do not write to one; small counts leave parts empty.
int64_t part_begin(int64_t count, int parts, int i);

/// The tree in which each of `ranks` ranks holds one group: the order of sums over ranks.
ReductionTree tree_of_ranks(int ranks);

/// Adds up nodes in the order of a tree. Keeps its scratch memory between calls. One thread at a time.
class TreeSum {
 public:
  /// out[i] = the tree's sum of nodes[k][i] over all nodes k, for i in [0, count). `out` may be one of the nodes,
  /// and overlaps no other.
  void add(const ReductionTree& tree, std::span<const float* const> nodes, int64_t count, float* out);

 private:
  std::vector<float> partials_;
  std::vector<const float*> stack_;
};

}  // namespace longship
