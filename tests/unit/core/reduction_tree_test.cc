#include "core/reduction_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace longship {
namespace {

std::string sum_of(const std::string& older, const std::string& newer) {
  std::string text("(");
  text.append(older).append("+").append(newer).append(")");
  return text;
}

// The tree written out: a node is "(left+right)", a leaf its group's number.
std::string formula(int32_t begin, int32_t end) {
  if (end - begin == 1) {
    return std::to_string(begin);
  }
  const int32_t middle = begin + (end - begin + 1) / 2;
  return sum_of(formula(begin, middle), formula(middle, end));
}

void merge(std::vector<std::string>& stack, int32_t merges) {
  for (; merges > 0; --merges) {
    const std::string newer = stack.back();
    stack.pop_back();
    stack.back() = sum_of(stack.back(), newer);
  }
}

std::string formula_of_nodes(const ReductionTree& tree) {
  std::vector<std::string> stack;
  for (int i = 0; i < tree.node_count(); ++i) {
    const ReductionTree::Node node = tree.nodes()[static_cast<std::size_t>(i)];
    stack.push_back(formula(node.begin, node.end));
    merge(stack, tree.merges()[static_cast<std::size_t>(i)]);
  }
  return stack.size() == 1 ? stack.front() : "not one value";
}

std::vector<int32_t> random_bounds(std::mt19937& random, int32_t groups, int ranks) {
  std::vector<int32_t> bounds = {0, groups};
  for (int i = 1; i < ranks; ++i) {
    bounds.push_back(std::uniform_int_distribution<int32_t>(0, groups)(random));
  }
  std::sort(bounds.begin(), bounds.end());
  return bounds;
}

TEST(ReductionTree, HoldsTheLargestSubtreesInsideEachShare) {
  const ReductionTree tree(9, {0, 3, 6, 9});
  ASSERT_EQ(tree.ranks(), 3);
  EXPECT_EQ(tree.node_count(0), 1);
  EXPECT_EQ(tree.node_count(1), 2);
  EXPECT_EQ(tree.node_count(2), 2);
  EXPECT_EQ(tree.first_node(2), 3);
  const std::vector<std::pair<int32_t, int32_t>> expected = {{0, 3}, {3, 5}, {5, 6}, {6, 7}, {7, 9}};
  ASSERT_EQ(tree.node_count(), 5);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(tree.nodes()[i].begin, expected[i].first);
    EXPECT_EQ(tree.nodes()[i].end, expected[i].second);
  }
}

TEST(ReductionTree, OneRankHoldsTheRoot) {
  const ReductionTree tree(24, {0, 24});
  EXPECT_EQ(tree.node_count(), 1);
  EXPECT_EQ(tree.merges()[0], 0);
}

TEST(ReductionTree, TheSumIsTheSameForEverySplit) {
  std::mt19937 random(1);
  for (int32_t groups = 1; groups <= 40; ++groups) {
    for (int ranks = 1; ranks <= 8; ++ranks) {
      const ReductionTree tree(groups, random_bounds(random, groups, ranks));
      EXPECT_EQ(formula_of_nodes(tree), formula(0, groups));
    }
  }
}

TEST(ReductionTree, AShareMayBeEmpty) {
  const ReductionTree tree(6, {0, 1, 2, 3, 4, 5, 6, 6});
  EXPECT_EQ(tree.ranks(), 7);
  EXPECT_EQ(tree.node_count(6), 0);
  EXPECT_TRUE(tree.steps(6, 32, 192).empty());
  EXPECT_EQ(formula_of_nodes(tree), formula(0, 6));
}

TEST(ReductionTree, StepsAddUpEachNodeInTheOrderOfTheTree) {
  std::mt19937 random(2);
  for (int32_t groups = 1; groups <= 30; ++groups) {
    const ReductionTree tree(groups, random_bounds(random, groups, 4));
    constexpr int64_t kGroupSize = 8;
    const int64_t columns = groups * kGroupSize - 3;
    int64_t next_column = 0;
    for (int rank = 0; rank < tree.ranks(); ++rank) {
      const int64_t origin = next_column;
      std::vector<std::string> stack;
      std::vector<std::string> finished;
      for (const GroupStep& step : tree.steps(rank, kGroupSize, columns)) {
        EXPECT_EQ(step.begin + origin, next_column);
        stack.push_back(std::to_string(next_column / kGroupSize));
        next_column = step.end + origin;
        merge(stack, step.merges);
        if (step.ends_node) {
          ASSERT_EQ(stack.size(), 1U);
          finished.push_back(stack.back());
          stack.pop_back();
        }
      }
      ASSERT_EQ(static_cast<int>(finished.size()), tree.node_count(rank));
      for (int i = 0; i < tree.node_count(rank); ++i) {
        const ReductionTree::Node node = tree.nodes()[static_cast<std::size_t>(tree.first_node(rank) + i)];
        EXPECT_EQ(finished[static_cast<std::size_t>(i)], formula(node.begin, node.end));
      }
    }
    EXPECT_EQ(next_column, columns);
  }
}

TEST(ReductionTreeDeathTest, RefusesSharesThatDoNotCoverTheGroups) {
  EXPECT_DEATH(ReductionTree(4, {0, 3}), "shares that cover");
  EXPECT_DEATH(ReductionTree(4, {0, 3, 2, 4}), "shares that cover");
  EXPECT_DEATH(ReductionTree(0, {0, 0}), "shares that cover");
}

}  // namespace
}  // namespace longship
