#include <algorithm>
#include <vector>

#include "parallel/shard.h"
#include "tests/comm/conformance.h"
#include "tests/comm/values.h"

namespace longship::conformance {
namespace {

// The sum of groups [begin, end) of one element, by the definition of the tree.
float tree_sum(const std::vector<float>& groups, std::size_t begin, std::size_t end) {
  if (end - begin == 1) {
    return groups[begin];
  }
  const std::size_t middle = begin + (end - begin + 1) / 2;
  return tree_sum(groups, begin, middle) + tree_sum(groups, middle, end);
}

std::vector<float> groups_of(uint64_t seed, int32_t groups, int64_t element) {
  std::vector<float> values(static_cast<std::size_t>(groups));
  for (std::size_t group = 0; group < values.size(); ++group) {
    values[group] = wide_value(mix(seed, group), static_cast<uint64_t>(element));
  }
  return values;
}

Tensor root_of(uint64_t seed, int32_t groups, const Shape& shape) {
  Tensor root = Tensor::allocate(DType::kF32, shape);
  for (int64_t i = 0; i < root.elements(); ++i) {
    root.data<float>()[i] = tree_sum(groups_of(seed, groups, i), 0, static_cast<std::size_t>(groups));
  }
  return root;
}

Tensor nodes_of(uint64_t seed, const ReductionTree& tree, int rank, const Shape& shape) {
  Shape nodes_shape = {tree.node_count(rank)};
  nodes_shape.insert(nodes_shape.end(), shape.begin(), shape.end());
  Tensor nodes = Tensor::allocate(DType::kF32, nodes_shape);
  const int64_t elements = element_count(shape);
  for (int64_t i = 0; i < elements; ++i) {
    const std::vector<float> groups = groups_of(seed, tree.groups(), i);
    for (int node = 0; node < tree.node_count(rank); ++node) {
      const auto span = tree.nodes()[static_cast<std::size_t>(tree.first_node(rank) + node)];
      nodes.data<float>()[node * elements + i] =
          tree_sum(groups, static_cast<std::size_t>(span.begin), static_cast<std::size_t>(span.end));
    }
  }
  return nodes;
}

std::vector<int32_t> even_bounds(int32_t groups, int ranks) {
  std::vector<int32_t> bounds = {0};
  for (int rank = 0; rank < ranks; ++rank) {
    bounds.push_back(static_cast<int32_t>(share(groups, ranks, rank).end));
  }
  return bounds;
}

std::vector<int32_t> random_bounds(uint64_t seed, int32_t groups, int ranks) {
  std::vector<int32_t> bounds = {0, groups};
  for (int i = 1; i < ranks; ++i) {
    bounds.push_back(static_cast<int32_t>(mix(seed, static_cast<uint64_t>(i)) % static_cast<uint64_t>(groups + 1)));
  }
  std::sort(bounds.begin(), bounds.end());
  return bounds;
}

void expect_root(Communicator& group, const ReductionTree& tree, const Shape& shape, uint64_t seed) {
  Stream stream;
  const Tensor nodes = nodes_of(seed, tree, group.rank(), shape);
  const Tensor before = nodes_of(seed, tree, group.rank(), shape);
  Tensor out = filled(shape, 99, whole_value);
  group.tree_reduce(nodes, tree, out, stream);
  EXPECT_EQ(differing_bits(out, root_of(seed, tree.groups(), shape)), 0)
      << tree.groups() << " groups, " << element_count(shape) << " elements, rank " << group.rank() << " of "
      << group.size();
  EXPECT_EQ(differing_bits(nodes, before), 0) << "the nodes are inputs";
}

TEST_P(Conformance, TreeReduceAddsInTheOrderOfTheTree) {
  run([](Transport& transport) {
    const auto group = transport.split(0, transport.rank());
    uint64_t seed = 1;
    for (const int32_t groups : {1, 2, 3, 6, 9, 24, 53}) {
      const ReductionTree tree(groups, even_bounds(groups, group->size()));
      for (const Shape& shape :
           {Shape{1, 1}, Shape{1, 576}, Shape{2, 7}, Shape{3, 129}, Shape{4, 1001}, Shape{5, 33}}) {
        expect_root(*group, tree, shape, ++seed);
      }
    }
  });
}

TEST_P(Conformance, TreeReduceTakesAnyShares) {
  run([](Transport& transport) {
    const auto group = transport.split(0, transport.rank());
    for (uint64_t seed = 0; seed < 40; ++seed) {
      const auto groups = static_cast<int32_t>(1 + mix(seed, 7) % 30);
      const ReductionTree tree(groups, random_bounds(seed, groups, group->size()));
      const Shape shape = {static_cast<int64_t>(1 + mix(seed, 8) % 5), static_cast<int64_t>(1 + mix(seed, 9) % 300)};
      expect_root(*group, tree, shape, seed);
    }
  });
}

TEST_P(Conformance, TreeReduceOfLargeTensorsAndSmallOnesInTurn) {
  run([](Transport& transport) {
    const auto group = transport.split(0, transport.rank());
    const ReductionTree tree(9, even_bounds(9, group->size()));
    expect_root(*group, tree, {64, 577}, 1);
    expect_root(*group, tree, {1, 3}, 2);
    expect_root(*group, tree, {129, 1000}, 3);
    expect_root(*group, tree, {1, 2048}, 4);
  });
}

TEST_P(Conformance, TreeReduceOfAnEmptyTensor) {
  run([](Transport& transport) {
    const auto group = transport.split(0, transport.rank());
    expect_root(*group, ReductionTree(6, even_bounds(6, group->size())), {0, 16}, 1);
  });
}

TEST_P(Conformance, TreeReduceOfOneRanksNodes) {
  run([](Transport& transport) {
    const auto group = transport.split(0, transport.rank());
    for (int owner = 0; owner < group->size(); ++owner) {
      std::vector<int32_t> bounds(static_cast<std::size_t>(group->size()) + 1, 5);
      std::fill(bounds.begin(), bounds.begin() + owner + 1, 0);
      expect_root(*group, ReductionTree(5, bounds), {2, 100}, static_cast<uint64_t>(owner));
    }
  });
}

// Ranks enter at different times; what an early rank does next must not disturb a late one.
TEST_P(Conformance, TreeReduceManyTimesOverWithoutWaitingBetween) {
  run([](Transport& transport) {
    const auto group = transport.split(0, transport.rank());
    const ReductionTree tree(9, even_bounds(9, group->size()));
    const Shape shape = {1, 576};
    Stream stream;
    std::vector<Tensor> nodes;
    std::vector<Tensor> roots;
    for (uint64_t seed = 0; seed < 8; ++seed) {
      nodes.push_back(nodes_of(seed, tree, group->rank(), shape));
      roots.push_back(root_of(seed, tree.groups(), shape));
    }
    Tensor out = Tensor::allocate(DType::kF32, shape);
    Tensor input = Tensor::allocate(DType::kF32, nodes.front().shape());
    int64_t differing = 0;
    for (std::size_t i = 0; i < 400; ++i) {
      std::ranges::copy(nodes[i % 8].values<float>(), input.data<float>());
      group->tree_reduce(input, tree, out, stream);
      std::ranges::fill(input.values<float>(), -1.0F);
      differing += differing_bits(out, roots[i % 8]);
    }
    EXPECT_EQ(differing, 0);
  });
}

// If this failed, the values above could not tell one order of addition from another.
TEST(WideValues, ShowTheOrderOfASum) {
  int differing = 0;
  for (int64_t element = 0; element < 1000; ++element) {
    const std::vector<float> groups = groups_of(1, 9, element);
    float in_turn = 0.0F;
    for (const float value : groups) {
      in_turn += value;
    }
    differing += in_turn != tree_sum(groups, 0, groups.size()) ? 1 : 0;
  }
  EXPECT_GT(differing, 300);
}

}  // namespace
}  // namespace longship::conformance
