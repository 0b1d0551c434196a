// Products of groups of rows: each row gets what linear() gives for its group's weight alone, in any batch.
#include "grouped.h"
#include "engine/backend/ops.h"

namespace longship {
namespace {

class GroupedTest : public BackendTest {
 protected:
  GroupedTest() = default;

  std::vector<float> values_of(const Tensor& device) {
    const Tensor host = to_host(device);
    return {host.values<float>().begin(), host.values<float>().end()};
  }

  // What linear() gives for one row and one weight, [nodes, outputs].
  std::vector<float> alone(const Tensor& x, int64_t row, const GroupProduct& product, int64_t nodes) {
    Tensor out = device_tensor({nodes, 1, product.weight->rows});
    const Tensor one = x.slice(row, row + 1);
    const Tensor cut = one.dim(1) == product.weight->columns ? one : first_columns(one, product.weight->columns);
    kernels().linear(cut, {product.weight, 1}, product.steps, out, stream());
    return values_of(out);
  }

  // Each place has what linear() gives for its row and its group's weight, and zeros behind.
  void expect_alone(const Tensor& x, const PlacedRows& places, const GroupedWeights& weights,
                    const std::vector<float>& actual, std::size_t outputs) {
    for (std::size_t place = 0; place < places.rows.size(); ++place) {
      const int32_t group = places.groups[place];
      std::vector<float> expected;
      if (group >= 0 && weights.products()[static_cast<std::size_t>(group)].weight != nullptr) {
        expected = alone(x, places.rows[place], weights.products()[static_cast<std::size_t>(group)], 1);
      }
      expected.resize(outputs, 0.0F);
      expect_same_bits(std::span(actual).subspan(place * outputs, outputs), expected, "place " + std::to_string(place));
    }
  }

  Tensor first_columns(const Tensor& row, int64_t columns) {
    return row.reshape({row.dim(1)}).slice(0, columns).reshape({1, columns});
  }
};

INSTANTIATE_TEST_SUITE_P(Backends, GroupedTest, testing::ValuesIn(every_variant()), variant_name);

struct GroupedCase {
  int64_t tokens;
  int64_t columns;
  int64_t group;  ///< Columns.
};

std::vector<GroupedCase> cases(bool slow) {
  std::vector<GroupedCase> all = {{1, 41, 4}, {5, 160, 32}, {70, 300, 256}};
  if (!slow) {
    all.insert(all.end(), {{64, 1, 1}, {130, 1100, 256}});
  }
  return all;
}

TEST_P(GroupedTest, ARowGetsWhatItsGroupsWeightGivesAlone) {
  for (const GroupedCase& one : cases(GetParam().slow)) {
    SCOPED_TRACE(one.tokens);
    RandomData data(3);
    const auto groups = static_cast<int32_t>((one.columns + one.group - 1) / one.group);
    const std::vector<GroupStep> steps = ReductionTree(groups, {0, groups}).steps(0, one.group, one.columns);
    const GroupedWeights weights(kernels(), data, {{DType::kF32, 17}, {}, {DType::kF16, 3}, {DType::kBF16, 40}},
                                 one.columns, steps);
    kernels().reserve(one.tokens, one.columns);
    const PlacedRows places = PlacedRows::random(data, one.tokens, 4);
    const RowGroups to = places.to_device(kernels(), stream());
    const Tensor x = to_device(data.tensor({one.tokens, one.columns}));
    GroupRoom room = weights.room(kernels(), one.tokens);
    Tensor nodes = device_tensor({1, places.size(), 44});
    kernels().grouped_linear(x, to, weights.products(), room, nodes, stream());
    expect_alone(x, places, weights, values_of(nodes), 44);
  }
}

// Lists in which types are mixed, and those of one type alone.
TEST_P(GroupedTest, BlocksOfEveryTypeGiveWhatTheyGiveAlone) {
  constexpr int64_t kColumns = 512;
  for (const DType dtype : kWeightTypes) {
    if (!is_block_quantised(dtype) && dtype != DType::kF8_E4M3) {
      continue;
    }
    for (const int64_t tokens :
         GetParam().slow ? std::vector<int64_t>{1, 9, 70} : std::vector<int64_t>{1, 2, 9, 64, 70}) {
      SCOPED_TRACE(std::string(name(dtype)) + ' ' + std::to_string(tokens));
      RandomData data(8);
      const std::vector<GroupStep> steps = ReductionTree(4, {0, 4}).steps(0, 128, kColumns);
      const std::vector<GroupedMatrix> alike = {{dtype, 17}, {}, {dtype, 3}, {dtype, 40}};
      const std::vector<GroupedMatrix> mixed = {{dtype, 17}, {DType::kBF16, 5}, {DType::kQ8_0, 3}, {DType::kQ4_0, 40}};
      for (const std::vector<GroupedMatrix>& matrices : {alike, mixed}) {
        const GroupedWeights weights(kernels(), data, matrices, kColumns, steps);
        kernels().reserve(tokens, kColumns);
        const PlacedRows places = PlacedRows::random(data, tokens, 4);
        const Tensor x = to_device(data.tensor({tokens, kColumns}));
        GroupRoom room = weights.room(kernels(), tokens);
        Tensor nodes = device_tensor({1, places.size(), 44});
        kernels().grouped_linear(x, places.to_device(kernels(), stream()), weights.products(), room, nodes, stream());
        expect_alone(x, places, weights, values_of(nodes), 44);
      }
    }
  }
}

// A token's experts add up in their order, whatever else is in the batch.
TEST_P(GroupedTest, WeightedSumsAreThoseOfTheirRowAlone) {
  constexpr int64_t kTokens = 9;
  constexpr int64_t kMost = 3;
  constexpr int64_t kWidth = 37;
  RandomData data(9);
  const Tensor x = to_device(data.tensor({kTokens * kMost, kWidth}));
  const Tensor weights = data.tensor({kTokens, kMost});
  Tensor places = Tensor::allocate(DType::kI32, {kTokens, kMost});
  for (int32_t& place : places.values<int32_t>()) {
    place = static_cast<int32_t>(data.between(-2, kTokens * kMost - 1));
  }
  std::fill_n(places.data<int32_t>(), kMost, -1);
  Tensor together = device_tensor({kTokens, kWidth});
  kernels().weighted_sum(x, to_device(places), to_device(weights), together, stream());
  const std::vector<float> actual = values_of(together);
  for (int64_t t = 0; t < kTokens; ++t) {
    Tensor alone = device_tensor({1, kWidth});
    kernels().weighted_sum(x, to_device(places.slice(t, t + 1)), to_device(weights.slice(t, t + 1)), alone, stream());
    expect_same_bits(std::span(actual).subspan(static_cast<std::size_t>(t * kWidth), kWidth), values_of(alone),
                     "row " + std::to_string(t));
  }
  expect_same_bits(std::span(actual).first(kWidth), std::vector<float>(kWidth, 0.0F), "a row without places");
}

TEST_P(GroupedTest, ARowsNodesAreThoseOfItsGroupsWeight) {
  constexpr int64_t kTokens = 6;
  RandomData data(4);
  const std::vector<GroupStep> steps = ReductionTree(8, {0, 3, 8}).steps(1, 32, 256);
  const int64_t nodes = std::ranges::count(steps, true, &GroupStep::ends_node);
  ASSERT_GT(nodes, 1);
  const GroupedWeights weights(kernels(), data, {{DType::kF16, 5}, {DType::kF32, 9}}, 160, steps);
  kernels().reserve(kTokens, 160);
  const PlacedRows places{{5, 5, 0, 2, 1}, {0, 1, 1, -1, 1}};  // one row in two groups
  const Tensor x = to_device(data.tensor({kTokens, 160}));
  GroupRoom room = weights.room(kernels(), kTokens, nodes);
  Tensor out = device_tensor({nodes, places.size(), 9});
  kernels().grouped_linear(x, places.to_device(kernels(), stream()), weights.products(), room, out, stream());
  const std::vector<float> actual = values_of(out);
  for (std::size_t place = 0; place < places.rows.size(); ++place) {
    for (std::size_t node = 0; node < static_cast<std::size_t>(nodes); ++node) {
      std::vector<float> expected;
      if (places.groups[place] >= 0) {
        const GroupProduct& product = weights.products()[static_cast<std::size_t>(places.groups[place])];
        const auto rows = static_cast<std::size_t>(product.weight->rows);
        const std::vector<float> all = alone(x, places.rows[place], product, nodes);
        expected.assign(all.begin() + static_cast<std::ptrdiff_t>(node * rows),
                        all.begin() + static_cast<std::ptrdiff_t>((node + 1) * rows));
      }
      expected.resize(9, 0.0F);
      expect_same_bits(std::span(actual).subspan((node * places.rows.size() + place) * 9, 9), expected,
                       "place " + std::to_string(place) + " node " + std::to_string(node));
    }
  }
}

// In a batch as by itself; columns beside those of the product and rows of no group stay as they are.
TEST_P(GroupedTest, SumsAreAddedToTheRowsOfTheirPlacesAlone) {
  constexpr int64_t kWidth = 47;
  constexpr int64_t kColumn = 3;
  for (const int64_t tokens : {1, 7, 70}) {
    RandomData data(5);
    std::vector<GroupedWeights> by_rank;
    for (const int64_t rank : {1, 3, 17, 64, 130}) {
      const DType dtype = rank == 64 ? DType::kQ4_0 : DType::kBF16;
      by_rank.emplace_back(kernels(), data, std::vector<GroupedMatrix>{{dtype, 40}}, rank, one_node(rank),
                           0.25F * static_cast<float>(rank));
    }
    std::vector<GroupProduct> products;
    for (const GroupedWeights& weights : by_rank) {
      products.push_back(weights.products()[0]);
    }
    products.emplace_back();
    kernels().reserve(tokens, 130);
    const PlacedRows places = PlacedRows::random(data, tokens, static_cast<int32_t>(products.size()));
    const Tensor x = data.tensor({places.size(), 130});
    const Tensor before = data.tensor({tokens, kWidth});
    GroupRoom room = by_rank.back().room(kernels(), tokens);
    Tensor together = to_device(before);
    kernels().grouped_linear_add(to_device(x), places.to_device(kernels(), stream()), products, kColumn, room, together,
                                 stream());
    Tensor one_by_one = to_device(before);
    std::vector<bool> changes(static_cast<std::size_t>(tokens));
    for (int64_t i = 0; i < places.size(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      const PlacedRows one{{places.rows[at]}, {places.groups[at]}};
      kernels().grouped_linear_add(to_device(x.slice(i, i + 1)), one.to_device(kernels(), stream()), products, kColumn,
                                   room, one_by_one, stream());
      changes[static_cast<std::size_t>(places.rows[at])] =
          places.groups[at] >= 0 && places.groups[at] < std::ssize(by_rank);
    }
    const std::vector<float> actual = values_of(together);
    expect_same_bits(actual, values_of(one_by_one), "a batch of " + std::to_string(tokens));
    for (int64_t i = 0; i < tokens * kWidth; ++i) {
      const bool inside = i % kWidth >= kColumn && i % kWidth < kColumn + 40;
      const bool same = actual[static_cast<std::size_t>(i)] == before.data<float>()[i];
      EXPECT_EQ(same, !(inside && changes[static_cast<std::size_t>(i / kWidth)])) << tokens << ' ' << i;
    }
  }
}

// The lists of two models may come to stand at one address.
TEST_P(GroupedTest, AListThatChangesIsNoticed) {
  RandomData data(6);
  kernels().reserve(1, 8);
  const GroupedWeights first(kernels(), data, {{DType::kF32, 4}}, 8, one_node(8));
  const GroupedWeights second(kernels(), data, {{DType::kF32, 4}}, 8, one_node(8));
  const Tensor x = to_device(data.tensor({1, 8}));
  const RowGroups to = PlacedRows{{0}, {0}}.to_device(kernels(), stream());
  GroupRoom room = first.room(kernels(), 1);
  std::vector<GroupProduct> products(1);
  for (const GroupedWeights* weights : {&first, &second, &first}) {
    products[0] = weights->products()[0];
    Tensor out = device_tensor({1, 1, 4});
    kernels().grouped_linear(x, to, products, room, out, stream());
    expect_same_bits(values_of(out), alone(x, 0, products[0], 1), "a list");
  }
}

TEST(GroupedOpsDeathTest, RefuseRowsAndGroupsThatAreNotThere) {
  const auto kernels = make_kernels({.name = "reference"});
  const auto stream = kernels->make_stream();
  Ops ops(*kernels);
  RandomData data(7);
  const GroupedWeights weights(*kernels, data, {{DType::kF32, 4}}, 8, one_node(8));
  const Tensor x = data.tensor({2, 8});
  GroupRoom room = weights.room(*kernels, 2);
  Tensor nodes = Tensor::allocate(DType::kF32, {1, 1, 4});
  const auto call = [&](int32_t row, int32_t group) {
    ops.grouped_linear(x, PlacedRows{{row}, {group}}.to_device(*kernels, *stream), weights.products(), room, nodes,
                       *stream);
  };
  call(1, 0);
  call(1, -1);
  EXPECT_DEATH(call(2, 0), "a row outside");
  EXPECT_DEATH(call(-1, 0), "a row outside");
  EXPECT_DEATH(call(0, 1), "a group that has no product");
  GroupRoom none;
  room = {};
  EXPECT_DEATH(call(0, 0), "room for the rows");
}

}  // namespace
}  // namespace longship
