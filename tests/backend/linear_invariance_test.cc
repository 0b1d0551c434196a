// A linear's output is the same function of its inputs however the work is cut: by tokens, rows, columns or calls.
#include <cstring>
#include <functional>

#include "core/range.h"
#include "variants.h"

namespace longship {
namespace {

struct Case {
  DType dtype;
  int64_t columns;
  int64_t group;
};

// Emulated devices take a few of them.
std::vector<Case> every_case(bool slow) {
  std::vector<Case> cases;
  for (const DType dtype : kWeightTypes) {
    cases.push_back({dtype, 352, 96});
    if (!slow) {
      cases.push_back({dtype, 320, 32});
      cases.push_back({dtype, 1184, 64});
    }
    if (!is_block_quantised(dtype)) {
      cases.push_back({dtype, 107, 4});
    }
  }
  return cases;
}

class LinearInvarianceTest : public BackendTest {
 protected:
  static constexpr int64_t kOutputs = 83;
  static constexpr int64_t kTokens = 13;

  int32_t groups(const Case& c) const { return static_cast<int32_t>((c.columns + c.group - 1) / c.group); }

  Tensor linear(const Tensor& x, std::span<const Weight> parts, std::span<const GroupStep> steps) {
    int64_t outputs = 0;
    for (const Weight& part : parts) {
      outputs += part.rows;
    }
    const auto nodes = std::count_if(steps.begin(), steps.end(), [](const GroupStep& s) { return s.ends_node; });
    Tensor out = device_tensor({nodes, x.dim(0), outputs});
    kernels().reserve(x.dim(0), x.dim(1));
    kernels().linear(to_device(x), parts, steps, out, stream());
    return to_host(out);
  }

  // The finished nodes of one rank, which holds columns [begin, end).
  std::vector<Tensor> share(const Case& c, const Tensor& x, const StoredMatrix& stored, const ReductionTree& tree,
                            int rank, Range columns) {
    if (columns.begin >= columns.end) {
      return {};
    }
    const Range stored_columns = columns.widened(info(c.dtype).block_values);
    const int64_t row_bytes = bytes_of(c.dtype, stored_columns.size());
    std::vector<std::byte> bytes(static_cast<std::size_t>(kOutputs * row_bytes));
    Tensor local = Tensor::allocate(DType::kF32, {kTokens, columns.size()});
    for (int64_t row = 0; row < kOutputs; ++row) {
      std::memcpy(bytes.data() + row * row_bytes, stored.row(row) + bytes_of(c.dtype, stored_columns.begin),
                  static_cast<std::size_t>(row_bytes));
    }
    for (int64_t t = 0; t < kTokens; ++t) {
      std::copy_n(x.data<float>() + t * c.columns + columns.begin, columns.size(),
                  local.data<float>() + t * columns.size());
    }
    const PackedWeight packed =
        pack(kernels(), {c.dtype, kOutputs, columns.size(), bytes.data(), columns.begin - stored_columns.begin});
    const Tensor out = linear(local, {&packed.weight, 1}, tree.steps(rank, c.group, c.columns));
    std::vector<Tensor> nodes;
    for (int64_t node = 0; node < out.dim(0); ++node) {
      nodes.push_back(out.slice(node, node + 1));
    }
    return nodes;
  }

  // What the ranks' nodes add up to.
  static std::vector<float> merge(std::span<const Tensor> nodes, std::span<const int32_t> merges) {
    std::vector<std::vector<float>> stack;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const std::span<const float> values = nodes[i].values<float>();
      stack.emplace_back(values.begin(), values.end());
      for (int32_t count = 0; count < merges[i]; ++count) {
        const std::vector<float> newer = std::move(stack.back());
        stack.pop_back();
        std::transform(stack.back().begin(), stack.back().end(), newer.begin(), stack.back().begin(), std::plus<>());
      }
    }
    return stack.back();
  }

  // Calls check(case, x, stored matrix, whole output, packed matrix, steps) for each case.
  template <class Check>
  void for_each_case(const Check& check) {
    for (const Case& c : every_case(GetParam().slow)) {
      SCOPED_TRACE(std::string(name(c.dtype)) + " " + std::to_string(c.columns));
      RandomData data(3);
      const std::vector<std::byte> bytes = data.stored(c.dtype, kOutputs, c.columns);
      const StoredMatrix stored{c.dtype, kOutputs, c.columns, bytes.data()};
      const Tensor x = data.tensor({kTokens, c.columns});
      const PackedWeight packed = pack(kernels(), stored);
      const std::vector<GroupStep> steps = ReductionTree(groups(c), {0, groups(c)}).steps(0, c.group, c.columns);
      check(c, x, stored, linear(x, {&packed.weight, 1}, steps), packed, steps);
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Backends, LinearInvarianceTest, testing::ValuesIn(every_variant()), variant_name);

TEST_P(LinearInvarianceTest, NumberOfTokens) {
  for_each_case([&](const Case&, const Tensor& x, const StoredMatrix&, const Tensor& whole, const PackedWeight& packed,
                    const std::vector<GroupStep>& steps) {
    for (const int64_t chunk :
         GetParam().slow ? std::vector<int64_t>{1, 3, 9} : std::vector<int64_t>{1, 2, 3, 4, 5, 9, 12}) {
      for (int64_t begin = 0; begin < kTokens; begin += chunk) {
        const int64_t end = std::min(kTokens, begin + chunk);
        const Tensor part = linear(x.slice(begin, end), {&packed.weight, 1}, steps);
        expect_same_bits(part, whole.reshape({kTokens, kOutputs}).slice(begin, end), "tokens " + std::to_string(chunk));
      }
    }
  });
}

TEST_P(LinearInvarianceTest, CutsByRows) {
  for_each_case([&](const Case& c, const Tensor& x, const StoredMatrix& stored, const Tensor& whole,
                    const PackedWeight&, const std::vector<GroupStep>& steps) {
    const std::vector<int64_t> bounds = {0, 1, 33, 33, 80, kOutputs};
    std::vector<PackedWeight> packed;
    std::vector<Weight> parts;
    for (std::size_t i = 0; i + 1 < bounds.size(); ++i) {
      packed.push_back(pack(
          kernels(), {c.dtype, bounds[i + 1] - bounds[i], c.columns, stored.data + bounds[i] * stored.row_bytes()}));
      parts.push_back(packed.back().weight);
    }
    expect_same_bits(linear(x, parts, steps), whole, "parts");
  });
}

TEST_P(LinearInvarianceTest, CutsByColumns) {
  for_each_case([&](const Case& c, const Tensor& x, const StoredMatrix& stored, const Tensor& whole,
                    const PackedWeight&, const std::vector<GroupStep>&) {
    for (int32_t ranks = 2; ranks <= 8; ranks += GetParam().slow ? 3 : 1) {
      std::vector<int32_t> first = {0};
      for (int32_t rank = 1; rank <= ranks; ++rank) {
        first.push_back(groups(c) * rank / ranks);
      }
      const ReductionTree tree(groups(c), first);
      std::vector<Tensor> nodes;
      for (int32_t rank = 0; rank < ranks; ++rank) {
        const int64_t begin = first[static_cast<std::size_t>(rank)] * c.group;
        const int64_t end = std::min(c.columns, first[static_cast<std::size_t>(rank) + 1] * c.group);
        for (Tensor& node : share(c, x, stored, tree, rank, {begin, end})) {
          nodes.push_back(node);
        }
      }
      expect_same_bits(merge(nodes, tree.merges()), whole.values<float>(), std::to_string(ranks) + " ranks");
    }
  });
}

TEST_P(LinearInvarianceTest, CallsOfPack) {
  for_each_case([&](const Case&, const Tensor&, const StoredMatrix& stored, const Tensor&, const PackedWeight& packed,
                    const std::vector<GroupStep>&) {
    const PackedWeight at_once = pack(kernels(), stored, 2 * Kernels::kPackRows);
    ASSERT_EQ(at_once.memory.bytes(), packed.memory.bytes());
    const Tensor a = to_host(at_once.memory);
    const Tensor b = to_host(packed.memory);
    EXPECT_EQ(std::memcmp(a.data<void>(), b.data<void>(), static_cast<std::size_t>(a.bytes())), 0);
  });
}

}  // namespace
}  // namespace longship
