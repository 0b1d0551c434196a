// Functions of one row of values.
#include "isa_variants.h"

namespace longship::cpu {
namespace {

constexpr int64_t kMostValues = 83;  // every remainder of whole vectors
constexpr int64_t kSpare = 20;       // behind an output, to stay as it is

class IsaRowsTest : public IsaTest {
 protected:
  /// Compares what run(isa, n, y) writes to the n values of y.
  template <class Run>
  void compare(const char* what, const Run& run) {
    for (int64_t n = 1; n <= kMostValues; ++n) {
      const std::vector<float> start = normal(n);
      std::vector<float> actual = untouched(n + kSpare);
      std::copy(start.begin(), start.end(), actual.begin());
      std::vector<float> expected = actual;
      run(other(), n, actual.data());
      run(avx2(), n, expected.data());
      ASSERT_NO_FATAL_FAILURE(expect_same(actual, expected, std::string(what) + " of " + std::to_string(n)));
      for (int64_t i = n; i < n + kSpare; ++i) {
        ASSERT_EQ(actual[static_cast<std::size_t>(i)], kUntouched) << what << " of " << n << " wrote behind its end";
      }
    }
  }

  const std::vector<float> x_ = any(kMostValues);
  const std::vector<float> other_ = any(kMostValues);
  const std::vector<float> tame_ = normal(kMostValues);
  const std::vector<float> gain_ = normal(kMostValues);
  const std::vector<float> bias_ = normal(kMostValues);
};

INSTANTIATE_TEST_SUITE_P(Isas, IsaRowsTest, testing::ValuesIn(kOtherIsas), [](const auto& i) { return i.param; });

TEST_P(IsaRowsTest, Sums) {
  for (const float* bias : {bias_.data(), static_cast<const float*>(nullptr)}) {
    for (const float* residual : {other_.data(), static_cast<const float*>(nullptr)}) {
      compare("add", [&](const Isa& isa, int64_t n, float* y) { isa.add(x_.data(), bias, residual, n, y); });
    }
  }
}

TEST_P(IsaRowsTest, Norms) {
  for (const auto* x : {&tame_, &x_}) {
    compare("rms_norm",
            [&](const Isa& isa, int64_t n, float* y) { isa.rms_norm(x->data(), gain_.data(), 1e-5F, n, y); });
    compare("layer_norm", [&](const Isa& isa, int64_t n, float* y) {
      isa.layer_norm(x->data(), gain_.data(), bias_.data(), 1e-5F, n, y);
    });
    for (const float* bias : {bias_.data(), static_cast<const float*>(nullptr)}) {
      compare("add_rms_norm", [&](const Isa& isa, int64_t n, float* hidden) {
        std::vector<float> y = untouched(n);
        isa.add_rms_norm(x->data(), bias, gain_.data(), 1e-6F, n, hidden, y.data());
      });
      compare("add_rms_norm's norm", [&](const Isa& isa, int64_t n, float* y) {
        std::vector<float> hidden = other_;
        isa.add_rms_norm(x->data(), bias, gain_.data(), 1e-6F, n, hidden.data(), y);
      });
    }
  }
}

TEST_P(IsaRowsTest, Activations) {
  compare("gelu_tanh", [&](const Isa& isa, int64_t n, float* y) { isa.gelu_tanh(x_.data(), n, y); });
  compare("silu_mul", [&](const Isa& isa, int64_t n, float* y) { isa.silu_mul(x_.data(), tame_.data(), n, y); });
  for (int run = 0; run < 8; ++run) {
    const std::vector<float> gate = normal(kMostValues, 30.0F);
    compare("silu_mul", [&](const Isa& isa, int64_t n, float* y) { isa.silu_mul(gate.data(), other_.data(), n, y); });
  }
}

TEST_P(IsaRowsTest, Rope) {
  for (int64_t half = 1; half <= kMostValues; ++half) {
    std::vector<float> actual = any(2 * half + kSpare);
    std::vector<float> expected = actual;
    other().rope(actual.data(), gain_.data(), bias_.data(), half);
    avx2().rope(expected.data(), gain_.data(), bias_.data(), half);
    ASSERT_NO_FATAL_FAILURE(expect_same(actual, expected, "rope of " + std::to_string(half)));
  }
}

TEST_P(IsaRowsTest, Halves) {
  for (int64_t n = 1; n <= kMostValues; ++n) {
    const std::vector<float> x = any(n, true);
    std::vector<uint16_t> actual(static_cast<std::size_t>(n + kSpare), 0x1234);
    std::vector<uint16_t> expected = actual;
    other().to_f16(x.data(), n, actual.data());
    avx2().to_f16(x.data(), n, expected.data());
    ASSERT_EQ(actual, expected) << n;
  }
}

TEST_P(IsaRowsTest, Quantised) {
  for (int64_t run = 0; run < 64; ++run) {
    const int64_t blocks = between(1, 6);
    const std::vector<float> x = run % 2 == 0 ? normal(blocks * kBlock) : any(blocks * kBlock, run % 4 == 1);
    const auto result = [&](const Isa& isa, std::vector<int8_t>& quants, std::vector<float>& numbers) {
      quants.assign(static_cast<std::size_t>(blocks * kBlock + kSpare), 99);
      std::vector<ActivationBlock> of_block(static_cast<std::size_t>(blocks));
      isa.quantise(x.data(), blocks * kBlock, quants.data(), of_block.data());
      for (const ActivationBlock& block : of_block) {
        numbers.insert(numbers.end(), {block.scale, block.scaled_sum, static_cast<float>(block.sums[0]),
                                       static_cast<float>(block.sums[1])});
      }
    };
    std::vector<int8_t> actual_quants, expected_quants;
    std::vector<float> actual, expected;
    result(other(), actual_quants, actual);
    result(avx2(), expected_quants, expected);
    ASSERT_EQ(actual_quants, expected_quants) << run;
    ASSERT_NO_FATAL_FAILURE(expect_same(actual, expected, "blocks of run " + std::to_string(run)));
  }
}

TEST_P(IsaRowsTest, BytesRead) {
  const std::vector<std::byte> from = bytes(4096);
  EXPECT_EQ(other().read_bytes(from.data(), 4096), avx2().read_bytes(from.data(), 4096));
}

// They count by themselves how much they do at once.
TEST_P(IsaRowsTest, MultiplyAddsOfTheRoofline) {
  for (const auto multiply : {other().multiply_int8, other().multiply_f32, other().multiply_pairs}) {
    EXPECT_GT(multiply(1), 0);
    EXPECT_EQ(multiply(5), 5 * multiply(1));
  }
}

}  // namespace
}  // namespace longship::cpu
