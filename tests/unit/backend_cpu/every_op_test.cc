#include "every_op.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "engine/backend/cpu/cpu_kernels.h"
#include "engine/backend/reference/reference_kernels.h"

namespace longship {
namespace {

std::unique_ptr<Kernels> cpu(const char* isa, int threads = 1, bool exact = false) {
  setenv("LONGSHIP_ISA", isa, 1);
  std::unique_ptr<Kernels> kernels = make_cpu_kernels({.name = "cpu", .threads = threads, .exact = exact});
  unsetenv("LONGSHIP_ISA");
  return kernels;
}

bool has_avx512() {
  return make_cpu_kernels({})->name() == "cpu/avx512";
}

std::vector<OpSizes> every_size() {
  return {
      {},
      {.tokens = 1},
      {.tokens = 9, .columns = 64, .outputs = 7, .group = 32, .heads = 7, .kv_heads = 7, .head_dim = 12, .history = 63},
      {.tokens = 2,
       .columns = 96,
       .outputs = 130,
       .group = 32,
       .heads = 1,
       .kv_heads = 1,
       .head_dim = 20,
       .history = 0},
      {.tokens = 70,
       .columns = 576,
       .outputs = 64,
       .group = 256,
       .heads = 9,
       .kv_heads = 3,
       .head_dim = 64,
       .history = 700},
      {.tokens = 33,
       .columns = 1536,
       .outputs = 48,
       .group = 64,
       .heads = 4,
       .kv_heads = 2,
       .head_dim = 128,
       .history = 300,
       .window = 100},
      {.tokens = 3,
       .columns = 32,
       .outputs = 17,
       .group = 32,
       .heads = 5,
       .kv_heads = 1,
       .head_dim = 2,
       .history = 200,
       .window = 5},
  };
}

void expect_same_bits(Kernels& a, Kernels& b, const OpSizes& sizes) {
  const EveryOp first(a, sizes);
  const EveryOp second(b, sizes);
  ASSERT_EQ(first.outcomes().size(), second.outcomes().size());
  for (std::size_t i = 0; i < first.outcomes().size(); ++i) {
    const Outcome& x = first.outcomes()[i];
    const Outcome& y = second.outcomes()[i];
    ASSERT_EQ(x.values.size(), y.values.size());
    EXPECT_EQ(std::memcmp(x.values.data(), y.values.data(), x.values.size() * sizeof(float)), 0) << x.name;
  }
}

void expect_near_reference(Kernels& kernels, const OpSizes& sizes) {
  const EveryOp actual(kernels, sizes);
  const EveryOp expected(*make_reference_kernels(), sizes);
  for (std::size_t i = 0; i < actual.outcomes().size(); ++i) {
    const Outcome& x = actual.outcomes()[i];
    const Outcome& y = expected.outcomes()[i];
    double largest = 0;
    double difference = 0;
    for (std::size_t j = 0; j < x.values.size(); ++j) {
      largest = std::max(largest, std::abs(static_cast<double>(y.values[j])));
      difference = std::max(difference, std::abs(static_cast<double>(x.values[j]) - static_cast<double>(y.values[j])));
    }
    EXPECT_GT(largest, 0.0) << x.name;
    EXPECT_LE(difference, x.tolerance * largest) << x.name;
  }
}

TEST(CpuKernels, AreNearTheOracle) {
  for (const OpSizes& sizes : every_size()) {
    expect_near_reference(*cpu("avx2"), sizes);
  }
}

TEST(CpuKernels, GiveTheSameBitsInEveryInstructionSet) {
  if (!has_avx512()) {
    GTEST_SKIP() << "this CPU has no AVX-512";
  }
  for (const OpSizes& sizes : every_size()) {
    expect_same_bits(*cpu("avx2"), *cpu("avx512"), sizes);
    expect_same_bits(*cpu("avx2", 1, true), *cpu("avx512", 1, true), sizes);
  }
}

TEST(CpuKernels, GiveTheSameBitsForEveryThreadCount) {
  for (const OpSizes& sizes : every_size()) {
    expect_same_bits(*make_cpu_kernels({.threads = 1}), *make_cpu_kernels({.threads = 3}), sizes);
  }
}

TEST(CpuKernels, RefuseAnUnknownInstructionSet) {
  EXPECT_THROW(cpu("sse9"), Error);
}

}  // namespace
}  // namespace longship
