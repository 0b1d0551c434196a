// Products of few tokens on tensor cores, beside those in f32 of the same packed weights.
#include "core/range.h"
#include "engine/backend/cuda/cuda_kernels.h"
#include "variants.h"

namespace longship {
namespace {

constexpr int64_t kOutputs = 83;
constexpr int64_t kTokenCounts[] = {1, 3, 13, 40};  // for each a shape of its own

std::unique_ptr<Kernels> kernels_of(bool deterministic) {
  BackendOptions options;
  options.name = "cuda";
  options.deterministic = deterministic;
  return make_cuda_kernels(options, 0);
}

// The difference to `expected` in parts of its size.
double difference_between(const Tensor& actual, const Tensor& expected) {
  double difference = 0;
  double size = 0;
  for (int64_t i = 0; i < expected.elements(); ++i) {
    const auto value = static_cast<double>(expected.data<float>()[i]);
    difference += std::pow(static_cast<double>(actual.data<float>()[i]) - value, 2);
    size += std::pow(value, 2);
  }
  EXPECT_GT(size, 0.0);
  return std::sqrt(difference / size);
}

class TensorLinearTest : public testing::Test {
 protected:
  PackedWeight random_weight(DType dtype, int64_t rows, int64_t columns) {
    const std::vector<std::byte> stored = data_.stored(dtype, rows, columns);
    return pack(*fast_, {dtype, rows, columns, stored.data()});
  }

  // Activations are the sum of two bf16, or for many tokens rounded to one.
  template <class Product>
  void expect_near(int64_t tokens, int64_t columns, const Shape& result, const Product& product) {
    const Tensor x = data_.tensor({tokens, columns});
    std::vector<Tensor> results;
    for (Kernels* kernels : {fast_.get(), exact_order_.get()}) {
      const std::unique_ptr<Stream> stream = kernels->make_stream();
      kernels->reserve(tokens, columns);
      Tensor out = kernels->allocate(DType::kF32, result);
      product(*kernels, longship::to_device(*kernels, x, *stream), out, *stream);
      results.push_back(longship::to_host(*kernels, out, *stream));
    }
    EXPECT_LE(difference_between(results[0], results[1]), tokens <= 16 ? 1e-5 : 3e-3) << tokens << " tokens";
  }

  RandomData data_{21};
  std::unique_ptr<Kernels> fast_ = kernels_of(false);
  std::unique_ptr<Kernels> exact_order_ = kernels_of(true);
};

// Rows that fill no row block, a part without rows, a stage that is not full.
TEST_F(TensorLinearTest, PartsAndNodes) {
  constexpr int64_t kColumns = 352;
  const std::vector<GroupStep> steps = ReductionTree(22, {0, 10, 21, 22}).steps(1, 32, 704);
  const auto nodes = std::count_if(steps.begin(), steps.end(), [](const GroupStep& step) { return step.ends_node; });
  ASSERT_GT(nodes, 1);
  for (const DType dtype : kWeightTypes) {
    SCOPED_TRACE(name(dtype));
    const PackedWeight packed[] = {random_weight(dtype, 33, kColumns), random_weight(dtype, 0, kColumns),
                                   random_weight(dtype, kOutputs - 33, kColumns)};
    const std::vector<Weight> parts = {packed[0].weight, packed[1].weight, packed[2].weight};
    for (const int64_t tokens : kTokenCounts) {
      expect_near(tokens, kColumns, {nodes, tokens, kOutputs},
                  [&](Kernels& kernels, const Tensor& x, Tensor& out, Stream& stream) {
                    kernels.linear(x, parts, steps, out, stream);
                  });
    }
  }
}

// More stages than are copied ahead.
TEST_F(TensorLinearTest, ManyColumns) {
  constexpr int64_t kColumns = 32 * 147;
  constexpr int64_t kRows = 24;
  const GroupStep step{.begin = 0, .end = kColumns, .merges = 0, .ends_node = true};
  for (const DType dtype : {DType::kBF16, DType::kF8_E4M3, DType::kQ8_0, DType::kQ4_1, DType::kQ5_1}) {
    SCOPED_TRACE(name(dtype));
    const PackedWeight packed = random_weight(dtype, kRows, kColumns);
    for (const int64_t tokens : {1, 4, 16}) {
      expect_near(tokens, kColumns, {1, tokens, kRows},
                  [&](Kernels& kernels, const Tensor& x, Tensor& out, Stream& stream) {
                    kernels.linear(x, {&packed.weight, 1}, {&step, 1}, out, stream);
                  });
    }
  }
}

// Rows enough for wide blocks: an emulated device has few multiprocessors.
TEST_F(TensorLinearTest, ManyRows) {
  constexpr int64_t kColumns = 160;
  const int64_t rows = fast_->name() == "cuda" ? 10248 : 328;
  const GroupStep step{.begin = 0, .end = kColumns, .merges = 0, .ends_node = true};
  for (const DType dtype : {DType::kBF16, DType::kF16, DType::kF8_E4M3, DType::kQ8_0, DType::kQ4_0, DType::kQ4_1,
                            DType::kMXFP4, DType::kQ5_0, DType::kQ5_1, DType::kQ6_K}) {
    SCOPED_TRACE(name(dtype));
    const PackedWeight packed = random_weight(dtype, rows, kColumns);
    for (const int64_t tokens : {1, 7, 16, 19, 33}) {
      expect_near(tokens, kColumns, {1, tokens, rows},
                  [&](Kernels& kernels, const Tensor& x, Tensor& out, Stream& stream) {
                    kernels.linear(x, {&packed.weight, 1}, {&step, 1}, out, stream);
                  });
    }
  }
}

TEST_F(TensorLinearTest, Gated) {
  constexpr int64_t kColumns = 160;
  const GroupStep step{.begin = 0, .end = kColumns, .merges = 0, .ends_node = true};
  for (const DType dtype : kWeightTypes) {
    SCOPED_TRACE(name(dtype));
    const PackedWeight packed[] = {random_weight(dtype, kOutputs, kColumns), random_weight(dtype, kOutputs, kColumns)};
    const Weight parts[] = {packed[0].weight, packed[1].weight};
    for (const int64_t tokens : {1, 5, 16}) {
      expect_near(tokens, kColumns, {tokens, kOutputs},
                  [&](Kernels& kernels, const Tensor& x, Tensor& out, Stream& stream) {
                    Tensor room = kernels.allocate(DType::kF32, {tokens, 2 * kOutputs});
                    kernels.linear_silu_mul(x, parts, {&step, 1}, room, out, {}, stream);
                  });
    }
  }
}

// Scales that change inside of 32 columns.
TEST_F(TensorLinearTest, Fp8ScalesOfOtherColumns) {
  constexpr int64_t kColumns = 416;
  const GroupStep step{.begin = 0, .end = kColumns, .merges = 0, .ends_node = true};
  for (const int64_t skip : {0, 40, 96, 127}) {
    SCOPED_TRACE(skip);
    const std::vector<std::byte> stored = data_.stored(DType::kF8_E4M3, kOutputs, kColumns);
    const int64_t per_row = (skip + kColumns - 1) / 128 + 1;
    std::vector<float> scales;
    for (int64_t i = 0; i < kOutputs * per_row; ++i) {
      scales.push_back(0.5F + 0.37F * static_cast<float>(i % 7));
    }
    StoredMatrix matrix{DType::kF8_E4M3, kOutputs, kColumns, stored.data()};
    matrix.scales = {scales.data(), per_row, 128, skip};
    const PackedWeight packed = pack(*fast_, matrix);
    for (const int64_t tokens : {2, 20}) {
      expect_near(tokens, kColumns, {1, tokens, kOutputs},
                  [&](Kernels& kernels, const Tensor& x, Tensor& out, Stream& stream) {
                    kernels.linear(x, {&packed.weight, 1}, {&step, 1}, out, stream);
                  });
    }
  }
}

}  // namespace
}  // namespace longship
