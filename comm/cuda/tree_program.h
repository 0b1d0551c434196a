#pragma once

#include <cstdint>
#include <optional>

#include "core/reduction_tree.h"

namespace longship {

/// A ReductionTree as kernels take it: a plain value among their arguments.
struct TreeProgram {
  static constexpr int kMostRanks = 16;
  static constexpr int kMostNodes = 224;
  static constexpr int kMostDepth = 16;

  int32_t ranks = 0;
  int32_t nodes = 0;
  int32_t most_nodes = 0;                   ///< Of one rank.
  uint8_t first_node[kMostRanks + 1] = {};  ///< As ReductionTree::first_node().
  uint8_t merges[kMostNodes] = {};          ///< As ReductionTree::merges().

  /// Nothing for a tree of more ranks or nodes than a kernel takes.
  static std::optional<TreeProgram> of(const ReductionTree& tree);
};

}  // namespace longship
