// FP8 weights with scales, on every backend beside plain arithmetic.
#include "core/range.h"
#include "variants.h"

namespace longship {
namespace {

constexpr int64_t kRows = 21;
constexpr int64_t kTokens = 3;

// Columns of a slice, and where the columns that share a scale begin.
struct Case {
  int64_t columns;
  int64_t scale_columns;
  int64_t skip;
};

class Fp8ScalesTest : public BackendTest {
 protected:
  // Of rows x columns, each a little different.
  static std::vector<float> scales(const ValueScales& shape) {
    std::vector<float> values;
    for (int64_t i = 0; i < kRows * shape.per_row; ++i) {
      values.push_back(0.7F + 0.013F * static_cast<float>(i));
    }
    return values;
  }

  void expect_product(const Case& c) {
    RandomData data(3);
    const std::vector<std::byte> bytes = data.stored(DType::kF8_E4M3, kRows, c.columns);
    StoredMatrix stored{DType::kF8_E4M3, kRows, c.columns, bytes.data()};
    stored.scales = {nullptr, (c.skip + c.columns - 1) / c.scale_columns + 1, c.scale_columns, c.skip};
    const std::vector<float> values = scales(stored.scales);
    stored.scales.values = values.data();
    const Tensor x = data.tensor({kTokens, c.columns});
    const auto groups = static_cast<int32_t>((c.columns + 31) / 32);
    Tensor nodes = device_tensor({1, kTokens, kRows});
    kernels().reserve(kTokens, c.columns);
    const PackedWeight packed = pack(kernels(), stored);
    kernels().linear(to_device(x), {&packed.weight, 1}, ReductionTree(groups, {0, groups}).steps(0, 32, c.columns),
                     nodes, stream());
    const Tensor out = to_host(nodes);
    for (int64_t t = 0; t < kTokens; ++t) {
      for (int64_t row = 0; row < kRows; ++row) {
        double sum = 0;
        double size = 0;
        for (int64_t k = 0; k < c.columns; ++k) {
          float weight = 0;
          dequantize(DType::kF8_E4M3, &bytes[static_cast<std::size_t>(row * c.columns + k)], 1, &weight);
          const double product =
              static_cast<double>(weight) *
              static_cast<double>(
                  values[static_cast<std::size_t>(row * stored.scales.per_row + (c.skip + k) / c.scale_columns)]) *
              static_cast<double>(x.data<float>()[t * c.columns + k]);
          sum += product;
          size += std::abs(product);
        }
        // Weights may have been rounded to f16.
        EXPECT_NEAR(out.data<float>()[t * kRows + row], sum, size / 2048) << c.columns << " " << c.skip;
      }
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Backends, Fp8ScalesTest, testing::ValuesIn(variants_near_reference()), variant_name);

TEST_P(Fp8ScalesTest, OfATensorOrOfRows) {
  expect_product({96, 1000, 64});
  expect_product({172, 172, 0});
}

TEST_P(Fp8ScalesTest, OfBlocks) {
  expect_product({320, 128, 0});
  expect_product({208, 128, 0});
  expect_product({256, 128, 96});
  expect_product({150, 128, 107});
}

}  // namespace
}  // namespace longship
