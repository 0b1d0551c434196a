#include "core/reduction_tree.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace longship {

namespace {

using Node = ReductionTree::Node;

int32_t split_point(Node node) {
  return node.begin + (node.end - node.begin + 1) / 2;
}

// Appends the largest subtrees of `node` that lie wholly inside [begin, end).
void cover(Node node, int32_t begin, int32_t end, std::vector<Node>& out) {
  if (node.begin >= end || node.end <= begin) {
    return;
  }
  if (node.begin >= begin && node.end <= end) {
    out.push_back(node);
    return;
  }
  const int32_t middle = split_point(node);
  cover({node.begin, middle}, begin, end, out);
  cover({middle, node.end}, begin, end, out);
}

// Merges after each piece of a frontier that covers `node`, in post-order. Returns the frontier's next index.
std::size_t count_merges(Node node, std::span<const Node> frontier, std::size_t at, std::vector<int32_t>& merges) {
  if (frontier[at].begin == node.begin && frontier[at].end == node.end) {
    merges.push_back(0);
    return at + 1;
  }
  const int32_t middle = split_point(node);
  at = count_merges({node.begin, middle}, frontier, at, merges);
  at = count_merges({middle, node.end}, frontier, at, merges);
  ++merges.back();
  return at;
}

}  // namespace

ReductionTree::ReductionTree(int32_t groups, std::vector<int32_t> first_group)
    : groups_(groups), first_group_(std::move(first_group)) {
  LONGSHIP_CHECK(groups_ >= 1 && first_group_.size() >= 2 && first_group_.front() == 0 &&
                     first_group_.back() == groups_ && std::is_sorted(first_group_.begin(), first_group_.end()),
                 "a reduction tree needs shares that cover its groups");
  first_node_.push_back(0);
  for (std::size_t rank = 0; rank + 1 < first_group_.size(); ++rank) {
    cover({0, groups_}, first_group_[rank], first_group_[rank + 1], nodes_);
    first_node_.push_back(static_cast<int32_t>(nodes_.size()));
  }
  count_merges({0, groups_}, nodes_, 0, merges_);
}

std::vector<GroupStep> ReductionTree::steps(int rank, int64_t group_size, int64_t columns) const {
  const int64_t origin = first_group_[static_cast<std::size_t>(rank)] * group_size;
  std::vector<GroupStep> steps;
  for (int i = first_node(rank); i < first_node(rank + 1); ++i) {
    const Node node = nodes_[static_cast<std::size_t>(i)];
    std::vector<Node> leaves;
    for (int32_t group = node.begin; group < node.end; ++group) {
      leaves.push_back({group, group + 1});
    }
    std::vector<int32_t> merges;
    count_merges(node, leaves, 0, merges);
    for (std::size_t leaf = 0; leaf < leaves.size(); ++leaf) {
      const int64_t begin = leaves[leaf].begin * group_size;
      const int64_t end = std::min(begin + group_size, columns);
      steps.push_back({begin - origin, end - origin, merges[leaf], leaf + 1 == leaves.size()});
    }
  }
  return steps;
}

}  // namespace longship
