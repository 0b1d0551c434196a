#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string_view>

#include "core/range.h"
#include "core/reduction_tree.h"

namespace longship {

/// Nodes of this rank, the tree of all ranks' nodes, and where its root goes; it may be this rank's only node.
struct Reduction {
  const float* nodes;
  const ReductionTree& tree;
  int64_t count;  ///< Values in a node.
  float* out;
  std::string_view operation;  ///< Reads well before "rank 2: ...".
  /// Called with values that are complete, in order; may be null.
  const std::function<void(Range values)>* complete = nullptr;

  /// Most nodes of one rank.
  int most_nodes() const {
    int most = 0;
    for (int rank = 0; rank < tree.ranks(); ++rank) {
      most = std::max(most, tree.node_count(rank));
    }
    return most;
  }
};

}  // namespace longship
