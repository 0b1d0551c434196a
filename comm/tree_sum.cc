#include "comm/tree_sum.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/error.h"

namespace longship {

namespace {

constexpr int64_t kBlock = 512;

// `sum` may be `older` or `newer` itself.
void add_block(const float* older, const float* newer, int64_t count, float* sum) {
  for (int64_t i = 0; i < count; ++i) {
    sum[i] = older[i] + newer[i];
  }
}

}  // namespace

int64_t part_begin(int64_t count, int parts, int i) {
  constexpr int64_t kLine = 16;
  return std::min(count, (count * i / parts + kLine - 1) / kLine * kLine);
}

ReductionTree tree_of_ranks(int ranks) {
  std::vector<int32_t> bounds(static_cast<std::size_t>(ranks) + 1);
  std::iota(bounds.begin(), bounds.end(), 0);
  return ReductionTree(ranks, std::move(bounds));
}

void TreeSum::add(const ReductionTree& tree, std::span<const float* const> nodes, int64_t count, float* out) {
  LONGSHIP_CHECK(static_cast<int>(nodes.size()) == tree.node_count(), "a tree's sum needs every node");
  stack_.resize(nodes.size());
  partials_.resize(nodes.size() * kBlock);
  const std::span<const int32_t> merges = tree.merges();
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t size = std::min(kBlock, count - begin);
    std::size_t depth = 0;
    for (std::size_t node = 0; node < nodes.size(); ++node) {
      stack_[depth++] = nodes[node] + begin;
      for (int32_t merge = 0; merge < merges[node]; ++merge) {
        --depth;
        const bool last = node + 1 == nodes.size() && merge + 1 == merges[node];
        float* sum = last ? out + begin : partials_.data() + (depth - 1) * kBlock;
        add_block(stack_[depth - 1], stack_[depth], size, sum);
        stack_[depth - 1] = sum;
      }
    }
    if (stack_[0] != out + begin) {
      std::copy_n(stack_[0], size, out + begin);
    }
  }
}

}  // namespace longship
