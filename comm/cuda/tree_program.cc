#include "comm/cuda/tree_program.h"

#include <algorithm>

namespace longship {

namespace {

// Most values that wait to be added while the nodes of the tree are taken one by one.
int depth_of(const ReductionTree& tree) {
  int depth = 0;
  int most = 0;
  for (const int32_t merges : tree.merges()) {
    most = std::max(most, ++depth);
    depth -= merges;
  }
  return most;
}

}  // namespace

std::optional<TreeProgram> TreeProgram::of(const ReductionTree& tree) {
  if (tree.ranks() > kMostRanks || tree.node_count() > kMostNodes || depth_of(tree) > kMostDepth) {
    return std::nullopt;
  }
  TreeProgram program;
  program.ranks = tree.ranks();
  program.nodes = tree.node_count();
  for (int rank = 0; rank < tree.ranks(); ++rank) {
    program.most_nodes = std::max(program.most_nodes, tree.node_count(rank));
    program.first_node[rank + 1] = static_cast<uint8_t>(tree.first_node(rank + 1));
  }
  std::ranges::transform(tree.merges(), program.merges, [](int32_t merges) { return static_cast<uint8_t>(merges); });
  return program;
}

}  // namespace longship
