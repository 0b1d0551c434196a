#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace longship {

/// One step of a sum over groups in the order of the halving tree: add up columns [begin, end) into a
/// new partial and push it; then `merges` times pop the two newest partials and push older + newer.
/// `ends_node`: the newest partial is then a finished node: pop it into the next output slot.
struct GroupStep {
  int64_t begin = 0;  ///< First column, local to the rank's slice.
  int64_t end = 0;
  int32_t merges = 0;
  bool ends_node = false;

  friend bool operator==(const GroupStep&, const GroupStep&) = default;
};

/// The fixed order in which the partial sums of a contracted dimension are added, and which nodes of it
/// each rank holds. Plain data, the same on every rank.
///
/// The dimension is divided into `groups` fixed groups; they are the leaves of a binary tree that splits
/// [begin, end) at begin + ceil((end - begin) / 2). Rank r owns the groups [first[r], first[r + 1]) and holds
/// the largest subtrees wholly inside that range: its nodes, in order. The sum is the same for every split.
class ReductionTree {
 public:
  struct Node {
    int32_t begin = 0;  ///< Groups [begin, end).
    int32_t end = 0;
  };

  ReductionTree() : ReductionTree(1, {0, 1}) {}
  /// `first_group`: ranks + 1 ascending numbers from 0 to `groups`; an empty share is legal.
  ReductionTree(int32_t groups, std::vector<int32_t> first_group);

  int32_t groups() const { return groups_; }
  /// The first group of `rank`; groups() for rank ranks().
  int32_t first_group(int rank) const { return first_group_[static_cast<std::size_t>(rank)]; }
  int ranks() const { return static_cast<int>(first_group_.size()) - 1; }
  int node_count() const { return static_cast<int>(nodes_.size()); }
  int node_count(int rank) const { return first_node(rank + 1) - first_node(rank); }
  /// Index of the first node of `rank` among the nodes of all ranks.
  int first_node(int rank) const { return first_node_[static_cast<std::size_t>(rank)]; }
  std::span<const Node> nodes() const { return nodes_; }

  /// How the nodes of all ranks, in order, add up to the root: after pushing node i, pop two and push their
  /// sum merges()[i] times. One value is left at the end.
  std::span<const int32_t> merges() const { return merges_; }

  /// The steps by which `rank` adds up its own groups. `group_size` columns a group, `columns` in the whole
  /// dimension (the last group may be short); steps are local to the rank's first column.
  std::vector<GroupStep> steps(int rank, int64_t group_size, int64_t columns) const;

  friend bool operator==(const ReductionTree& a, const ReductionTree& b) {
    return a.groups_ == b.groups_ && a.first_group_ == b.first_group_;
  }

 private:
  int32_t groups_;
  std::vector<int32_t> first_group_;
  std::vector<Node> nodes_;
  std::vector<int32_t> first_node_;
  std::vector<int32_t> merges_;
};

}  // namespace longship
