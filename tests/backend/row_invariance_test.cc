// Operations on rows give each row the same bits in any batch; values far out stay finite.
#include <cmath>
#include <limits>

#include "variants.h"

namespace longship {
namespace {

class RowInvarianceTest : public BackendTest {
 protected:
  static constexpr int64_t kTokens = 40;

  // op(rows [begin, end), out): compares its output for the whole batch with that for single rows.
  template <class Op>
  void expect_rows_alone_equal(int64_t width, const std::string& what, const Op& op) {
    Tensor out = device_tensor({kTokens, width});
    op(0, kTokens, out);
    const Tensor whole = to_host(out);
    for (int64_t t = 0; t < kTokens; ++t) {
      Tensor row = device_tensor({1, width});
      op(t, t + 1, row);
      expect_same_bits(to_host(row), whole.slice(t, t + 1), what);
    }
  }

  // What a linear of the whole width gives, in host memory.
  Tensor linear(const Tensor& x, const PackedWeight& packed) {
    const std::vector<GroupStep> steps = {{.begin = 0, .end = x.dim(1), .merges = 0, .ends_node = true}};
    Tensor out = device_tensor({1, x.dim(0), packed.weight.rows});
    kernels().reserve(x.dim(0), x.dim(1));
    kernels().linear(to_device(x), {&packed.weight, 1}, steps, out, stream());
    return to_host(out);
  }
};

INSTANTIATE_TEST_SUITE_P(Backends, RowInvarianceTest, testing::ValuesIn(every_variant()), variant_name);

TEST_P(RowInvarianceTest, RowsInAnyBatch) {
  for (const int64_t width : {1, 15, 16, 576, 1000}) {
    RandomData data(11);
    const Tensor x = to_device(data.tensor({kTokens, width}));
    const Tensor gate_up = to_device(data.tensor({kTokens, 2 * width}));
    const Tensor gain = to_device(data.tensor({width}));
    const Tensor bias = to_device(data.tensor({width}));
    expect_rows_alone_equal(width, "add", [&](int64_t begin, int64_t end, Tensor& out) {
      kernels().add(x.slice(begin, end), bias, x.slice(begin, end), out, stream());
    });
    expect_rows_alone_equal(width, "rms_norm", [&](int64_t begin, int64_t end, Tensor& out) {
      kernels().rms_norm(x.slice(begin, end), gain, 1e-5F, out, stream());
    });
    expect_rows_alone_equal(width, "layer_norm", [&](int64_t begin, int64_t end, Tensor& out) {
      kernels().layer_norm(x.slice(begin, end), gain, bias, 1e-5F, out, stream());
    });
    expect_rows_alone_equal(width, "silu_mul", [&](int64_t begin, int64_t end, Tensor& out) {
      kernels().silu_mul(gate_up.slice(begin, end), out, stream());
    });
    expect_rows_alone_equal(width, "gelu_tanh", [&](int64_t begin, int64_t end, Tensor& out) {
      kernels().gelu_tanh(x.slice(begin, end), out, stream());
    });
  }
}

TEST_P(RowInvarianceTest, ActivationsOfLargeValues) {
  Tensor x = Tensor::allocate(DType::kF32, {1, 6});
  const std::vector<float> values = {-1e30F, -100.0F, -20.0F, 20.0F, 100.0F, 1e9F};
  std::copy(values.begin(), values.end(), x.data<float>());
  Tensor out = device_tensor({1, 6});
  kernels().gelu_tanh(to_device(x), out, stream());
  Tensor y = to_host(out);
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_NEAR(y.data<float>()[i], std::max(values[i], 0.0F), 1e-6) << values[i];
  }
  Tensor gates = Tensor::allocate(DType::kF32, {1, 12});
  std::copy(values.begin(), values.end(), gates.data<float>());
  std::fill_n(gates.data<float>() + 6, 6, 1.0F);
  kernels().silu_mul(to_device(gates), out, stream());
  y = to_host(out);
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_NEAR(y.data<float>()[i], std::max(values[i], 0.0F), 1e-6) << values[i];
  }
}

// Activations of zeros, of denormals and of one value in a block of zeros, through quantised weights.
TEST_P(RowInvarianceTest, LinearOfDegenerateBlocks) {
  RandomData data(4);
  for (const DType dtype : kWeightTypes) {
    if (!is_block_quantised(dtype)) {
      continue;
    }
    const std::vector<std::byte> bytes = data.stored(dtype, 20, 96);
    const PackedWeight packed = pack(kernels(), {dtype, 20, 96, bytes.data()});
    Tensor x = Tensor::allocate(DType::kF32, {3, 96});
    std::fill_n(x.data<float>() + 96, 96, 1e-41F);
    x.data<float>()[2 * 96 + 40] = 2.0F;
    const Tensor out = linear(x, packed);
    bool any = false;
    for (int64_t n = 0; n < 20; ++n) {
      EXPECT_EQ(out.data<float>()[n], 0.0F);
      EXPECT_NEAR(out.data<float>()[20 + n], 0.0F, 1e-35F);
      EXPECT_TRUE(std::isfinite(out.data<float>()[40 + n]));
      any = any || out.data<float>()[40 + n] != 0.0F;
    }
    EXPECT_TRUE(any);
  }
}

// What is not a number must not become one on the way: it spoils the row that holds it and no other.
TEST_P(RowInvarianceTest, LinearPassesNotANumberOn) {
  RandomData data(5);
  for (const DType dtype : kWeightTypes) {
    const std::vector<std::byte> bytes = data.stored(dtype, 20, 96);
    const PackedWeight packed = pack(kernels(), {dtype, 20, 96, bytes.data()});
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
      Tensor x = data.tensor({2, 96});
      x.data<float>()[96 + 37] = bad;
      const Tensor out = linear(x, packed);
      for (int64_t n = 0; n < 20; ++n) {
        EXPECT_TRUE(std::isfinite(out.data<float>()[n])) << name(dtype);
        EXPECT_FALSE(std::isfinite(out.data<float>()[20 + n])) << name(dtype) << " " << bad;
      }
    }
  }
}

}  // namespace
}  // namespace longship
