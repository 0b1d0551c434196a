#include "every_op.h"

namespace longship {
namespace {

constexpr unsigned kRuns = 16;
constexpr unsigned kSlowRuns = 4;

void expect_near(const Outcome& actual, const Outcome& expected) {
  ASSERT_EQ(actual.values.size(), expected.values.size()) << actual.name;
  double largest = 0;
  double difference = 0;
  for (std::size_t i = 0; i < actual.values.size(); ++i) {
    ASSERT_TRUE(std::isfinite(actual.values[i])) << actual.name;
    largest = std::max(largest, std::abs(static_cast<double>(expected.values[i])));
    difference =
        std::max(difference, std::abs(static_cast<double>(actual.values[i]) - static_cast<double>(expected.values[i])));
  }
  EXPECT_GT(largest, 0.0) << actual.name;
  EXPECT_LE(difference, actual.tolerance * largest) << actual.name;
}

class OracleTest : public BackendTest {};

INSTANTIATE_TEST_SUITE_P(Backends, OracleTest, testing::ValuesIn(variants_near_reference()), variant_name);

TEST_P(OracleTest, EveryOperationIsNearTheReference) {
  const auto reference = make_kernels({.name = "reference"});
  for (unsigned seed = 0; seed < (GetParam().slow ? kSlowRuns : kRuns); ++seed) {
    SCOPED_TRACE(seed);
    const OpSizes sizes = OpSizes::random(seed);
    const bool exact = GetParam().options.exact;
    const EveryOp actual(kernels(), sizes, exact);
    const EveryOp expected(*reference, sizes, exact);
    for (std::size_t i = 0; i < expected.outcomes().size(); ++i) {
      expect_near(actual.outcomes()[i], expected.outcomes()[i]);
    }
  }
}

// Where the integers of a block stand, and the byte that makes them largest.
struct LargestIntegers {
  DType dtype;
  std::size_t first;
  std::size_t count;
  std::byte byte{0xFF};
};

constexpr LargestIntegers kLargest[] = {
    {DType::kQ8_0, 2, 32, std::byte{0x80}},
    {DType::kQ4_0, 2, 16},
    {DType::kQ4_1, 4, 16},
    {DType::kQ5_0, 2, 20},
    {DType::kQ5_1, 4, 20},
    {DType::kQ3_K, 0, 96},
    {DType::kQ4_K, 16, 128},
    {DType::kQ5_K, 16, 160},
    {DType::kQ6_K, 0, 192},
    {DType::kIQ4_NL, 2, 16},
    {DType::kMXFP4, 1, 16, std::byte{0x77}},
};

// Sums that are taken in fewer bits than they may need would overflow.
TEST_P(OracleTest, LargestIntegersOfWeightsAndActivations) {
  constexpr int64_t kRows = 16;
  constexpr int64_t kColumns = 512;
  constexpr int64_t kTokens = 5;
  const auto reference = make_kernels({.name = "reference"});
  for (const LargestIntegers& largest : kLargest) {
    SCOPED_TRACE(name(largest.dtype));
    std::vector<std::byte> bytes = RandomData(1).stored(largest.dtype, kRows, kColumns);
    for (std::size_t block = 0; block < bytes.size();
         block += static_cast<std::size_t>(info(largest.dtype).block_bytes)) {
      std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(block + largest.first), largest.count, largest.byte);
    }
    const StoredMatrix stored{largest.dtype, kRows, kColumns, bytes.data()};
    Tensor x = Tensor::allocate(DType::kF32, {kTokens, kColumns});
    for (int64_t i = 0; i < x.elements(); ++i) {
      x.data<float>()[i] = i < x.elements() / 2 ? 1.0F : -1.0F;
    }
    const GroupStep step{.begin = 0, .end = kColumns, .merges = 0, .ends_node = true};
    const auto product = [&](Kernels& by) {
      const auto stream = by.make_stream();
      const PackedWeight packed = pack(by, stored);
      Tensor out = by.allocate(DType::kF32, {1, kTokens, kRows});
      by.reserve(kTokens, kColumns);
      by.linear(longship::to_device(by, x, *stream), {&packed.weight, 1}, {&step, 1}, out, *stream);
      return longship::to_host(by, out, *stream);
    };
    const Tensor actual = product(kernels());
    const Tensor expected = product(*reference);
    const auto values = [](const Tensor& tensor) {
      return std::vector<float>(tensor.values<float>().begin(), tensor.values<float>().end());
    };
    expect_near({.name = "linear", .values = values(actual), .tolerance = 1e-3},
                {.name = "linear", .values = values(expected), .tolerance = 0});
  }
}

}  // namespace
}  // namespace longship
