#include "every_op.h"

namespace longship {
namespace {

constexpr unsigned kRuns = 16;

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

INSTANTIATE_TEST_SUITE_P(Backends, OracleTest, testing::ValuesIn(cpu_variants()), variant_name);

TEST_P(OracleTest, EveryOperationIsNearTheReference) {
  const auto reference = make_kernels({.name = "reference"});
  for (unsigned seed = 0; seed < kRuns; ++seed) {
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

void expect_same_outcomes(const Variant& a, const Variant& b) {
  const auto first_kernels = a.make();
  const auto second_kernels = b.make();
  if (first_kernels == nullptr || second_kernels == nullptr) {
    GTEST_SKIP() << "this CPU cannot run both";
  }
  for (unsigned seed = 0; seed < kRuns; ++seed) {
    SCOPED_TRACE(seed);
    const OpSizes sizes = OpSizes::random(seed);
    const EveryOp first(*first_kernels, sizes, a.options.exact);
    const EveryOp second(*second_kernels, sizes, b.options.exact);
    for (std::size_t i = 0; i < first.outcomes().size(); ++i) {
      expect_same_bits(first.outcomes()[i].values, second.outcomes()[i].values, first.outcomes()[i].name);
    }
  }
}

TEST(CpuBackend, InstructionSetsGiveTheSameBits) {
  for (const bool exact : {false, true}) {
    expect_same_outcomes({"Avx2", {.name = "cpu", .exact = exact}, "avx2"},
                         {"Avx512", {.name = "cpu", .exact = exact}, "avx512"});
  }
}

TEST(CpuBackend, ThreadCountsGiveTheSameBits) {
  for (const int threads : {2, 5}) {
    expect_same_outcomes({"One", {.name = "cpu", .threads = 1}, ""}, {"More", {.name = "cpu", .threads = threads}, ""});
  }
}

TEST(CpuBackend, RefusesAnInstructionSetItDoesNotKnow) {
  setenv("LONGSHIP_ISA", "sse9", 1);
  EXPECT_THROW(make_kernels({.name = "cpu"}), Error);
  unsetenv("LONGSHIP_ISA");
}

TEST(Factory, RefusesAnUnknownBackend) {
  EXPECT_THROW(make_kernels({.name = "abacus"}), Error);
}

}  // namespace
}  // namespace longship
