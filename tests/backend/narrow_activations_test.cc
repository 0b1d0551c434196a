// Where products of many tokens go to the library, operations before them keep their results in 16 bits: what comes out
// in the end is near the reference's, whatever reads them.
#include "core/reduction_tree.h"
#include "engine/backend/cuda/cuda_kernels.h"
#include "variants.h"

namespace longship {
namespace {

constexpr int64_t kTokens = 20;
constexpr int64_t kWidth = 160;

struct HalfLayer {
  DType up = DType::kBF16;
  DType gate = DType::kBF16;  // of another type than up: two products
  int64_t inner = 64;
  DType down = DType::kBF16;
  DType promised = DType::kBF16;  // as the reader of the norm and of the gated product
};

std::vector<GroupStep> steps_of(int64_t columns) {
  const auto groups = static_cast<int32_t>((columns + 31) / 32);
  return ReductionTree(groups, {0, groups}).steps(0, 32, columns);
}

// Norm, gate and up, down: the same values for every backend.
class Work {
 public:
  explicit Work(Kernels& kernels) : kernels_(kernels), stream_(kernels.make_stream()) {
    kernels.reserve(kTokens, kWidth);
  }

  Tensor run(const HalfLayer& layer) {
    const PackedWeight gate = weight(layer.gate, layer.inner, kWidth);
    const PackedWeight up = weight(layer.up, layer.inner, kWidth);
    const PackedWeight down = weight(layer.down, 24, layer.inner);
    const PackedWeight promised = weight(layer.promised, 8, kWidth);
    const Weight parts[] = {gate.weight, up.weight};
    AddNorm then{.bias = {},
                 .hidden = random({kTokens, kWidth}),
                 .gain = random({kWidth}),
                 .norm_bias = {},
                 .eps = 1e-5F,
                 .normed = kernels_.allocate(DType::kF32, {kTokens, kWidth})};
    const Tensor x = random({kTokens, kWidth});
    kernels_.add_norm(x, {0, 7}, then, {&promised.weight, 1}, *stream_);
    kernels_.add_norm(x, {7, kTokens}, then, {&promised.weight, 1}, *stream_);
    Tensor room = kernels_.allocate(DType::kF32, {kTokens, 2 * layer.inner});
    Tensor y = kernels_.allocate(DType::kF32, {kTokens, layer.inner});
    kernels_.linear_silu_mul(then.normed, parts, steps_of(kWidth), room, y, {&down.weight, 1}, *stream_);
    Tensor out = kernels_.allocate(DType::kF32, {1, kTokens, 24});
    kernels_.linear(y, {&down.weight, 1}, steps_of(layer.inner), out, *stream_);
    return to_host(kernels_, out, *stream_);
  }

 private:
  Tensor random(const Shape& shape) { return to_device(kernels_, data_.tensor(shape), *stream_); }
  PackedWeight weight(DType dtype, int64_t rows, int64_t columns) {
    const std::vector<std::byte> stored = data_.stored(dtype, rows, columns);
    return pack(kernels_, {dtype, rows, columns, stored.data()});
  }

  Kernels& kernels_;
  std::unique_ptr<Stream> stream_;
  RandomData data_{11};
};

void expect_near(const HalfLayer& layer, double tolerance) {
  const auto reference = make_kernels({.name = "reference"});
  const auto cuda = make_cuda_kernels({.name = "cuda"}, 0);
  const Tensor expected = Work(*reference).run(layer);
  const Tensor result = Work(*cuda).run(layer);
  double difference = 0;
  double size = 0;
  for (int64_t i = 0; i < expected.elements(); ++i) {
    const double value = expected.data<float>()[i];
    difference += std::pow(static_cast<double>(result.data<float>()[i]) - value, 2);
    size += value * value;
  }
  EXPECT_GT(size, 0.0);
  EXPECT_LE(std::sqrt(difference / size), tolerance) << name(layer.gate) << ' ' << name(layer.up) << ' ' << layer.inner
                                                     << ' ' << name(layer.down) << ' ' << name(layer.promised);
}

constexpr double kBf16Tolerance = 1e-2;  // of what is rounded by one part in 512 four times

TEST(NarrowActivations, ChainsOfEveryWeightTypeAreNear) {
  for (const DType dtype : kWeightTypes) {
    expect_near({dtype, dtype, 64, dtype, dtype}, dtype == DType::kF32 ? 1e-5 : kBf16Tolerance);
  }
}

// 83 outputs are not aligned as the library wants it, and rows of 83 values neither.
TEST(NarrowActivations, OddWidthsAreNear) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    expect_near({dtype, dtype, 83, dtype, dtype}, dtype == DType::kF32 ? 1e-5 : kBf16Tolerance);
    expect_near({dtype, dtype, 36, dtype, dtype}, dtype == DType::kF32 ? 1e-5 : kBf16Tolerance);
  }
}

TEST(NarrowActivations, ReadersOfOtherTypesAreServed) {
  for (const DType promised : {DType::kF32, DType::kF16, DType::kBF16}) {
    for (const DType gate : {DType::kF32, DType::kF16, DType::kBF16}) {
      expect_near({DType::kQ8_0, gate, 64, DType::kF16, promised}, kBf16Tolerance);
      expect_near({gate, gate, 64, DType::kF32, promised}, kBf16Tolerance);
    }
  }
}

}  // namespace
}  // namespace longship
