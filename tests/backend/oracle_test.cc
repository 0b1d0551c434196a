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

}  // namespace
}  // namespace longship
