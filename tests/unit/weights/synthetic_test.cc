#include "engine/weights/synthetic.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/error.h"
#include "engine/weights/blocks.h"

namespace longship {
namespace {

constexpr DType kTypes[] = {DType::kF32,  DType::kF16,  DType::kBF16, DType::kQ8_0,   DType::kQ4_0,
                            DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ2_K,   DType::kQ3_K,
                            DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kIQ4_NL, DType::kMXFP4};

std::vector<float> row_of(SyntheticWeights& weights, const SourceTensor& tensor, int64_t row) {
  std::vector<float> values(static_cast<std::size_t>(tensor.columns()));
  const RegionView view = weights.view(tensor, {row, row + 1, 0, tensor.columns()});
  dequantize(tensor.dtype, view.data, tensor.columns(), values.data());
  return values;
}

TEST(SyntheticWeights, AreOfThePlausibleSizeOfTrainedOnes) {
  for (const DType dtype : kTypes) {
    SyntheticWeights weights("model", dtype);
    const SourceTensor& tensor = *weights.expect("up", {300, 512});
    double squares = 0;
    for (const int64_t row : {0, 7, 299}) {
      for (const float value : row_of(weights, tensor, row)) {
        ASSERT_TRUE(std::isfinite(value)) << name(dtype);
        squares += static_cast<double>(value) * value / (3 * 512);
      }
    }
    EXPECT_GT(std::sqrt(squares), 1e-4) << name(dtype);
    EXPECT_LT(std::sqrt(squares), 2.0) << name(dtype);
  }
}

TEST(SyntheticWeights, AreTheSameInEveryViewAndRun) {
  SyntheticWeights first("model", DType::kQ4_K);
  SyntheticWeights second("model", DType::kQ4_K);
  const SourceTensor& tensor = *first.expect("up", {300, 512});
  const std::vector<float> early = row_of(first, tensor, 20);
  row_of(first, tensor, 299);
  EXPECT_EQ(row_of(first, tensor, 20), early);
  EXPECT_EQ(row_of(second, *second.expect("up", {300, 512}), 20), early);
  Bytes stored(static_cast<std::size_t>(2 * bytes_of(DType::kQ4_K, 256)));
  first.read(tensor, {20, 22, 256, 512}, stored);
  std::vector<float> values(256);
  dequantize(DType::kQ4_K, stored.data(), 256, values.data());
  EXPECT_EQ(std::memcmp(values.data(), early.data() + 256, 1024), 0);
}

TEST(SyntheticWeights, HaveGainsOfOne) {
  SyntheticWeights weights("model", DType::kQ8_0);
  const SourceTensor& gain = *weights.expect("layers.0.input_layernorm.weight", {40});
  EXPECT_EQ(gain.dtype, DType::kF32);
  EXPECT_EQ(row_of(weights, gain, 0), std::vector<float>(40, 1.0F));
}

TEST(SyntheticWeights, RefuseRowsThatAreNoWholeBlocks) {
  SyntheticWeights weights("model", DType::kQ4_K);
  EXPECT_THROW(weights.expect("up", {300, 128}), Error);
}

}  // namespace
}  // namespace longship
