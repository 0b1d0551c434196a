// What holds of the backend of CPUs alone: its variants, and how it is chosen.
#include <limits>

#include "every_op.h"

namespace longship {

namespace {

std::vector<Variant> cpu_variants() {
  std::vector<Variant> all;
  all.push_back(make_variant("Avx2", "cpu", false, "avx2"));
  all.push_back(make_variant("Avx512", "cpu", false, "avx512"));
  all.push_back(make_variant("Avx512Bf16", "cpu", false, "avx512_bf16"));
  all.push_back(make_variant("Amx", "cpu", false, "amx"));
  all.push_back(make_variant("AmxBf16", "cpu", false, "amx_bf16"));
  all.push_back(make_variant("Avx2Exact", "cpu", true, "avx2"));
  all.push_back(make_variant("Avx512Exact", "cpu", true, "avx512"));
  return all;
}

}  // namespace

std::vector<Variant> every_variant() {
  std::vector<Variant> all = cpu_variants();
  all.push_back(make_variant("Reference", "reference", false, ""));
  return all;
}

std::vector<Variant> variants_near_reference() {
  return cpu_variants();
}

// Threads share the keys of a token that comes alone.
std::vector<Variant> variants_with_threads() {
  std::vector<Variant> all = every_variant();
  for (Variant variant : cpu_variants()) {
    variant.name += "Threads";
    variant.options.threads = 3;
    all.push_back(variant);
  }
  return all;
}

namespace {

constexpr unsigned kRuns = 16;

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

TEST(CpuBackend, ProductsOfBf16InOneInstructionGiveTheSameBits) {
  expect_same_outcomes({"Avx2", {.name = "cpu"}, "avx2"}, {"Avx512Bf16", {.name = "cpu"}, "avx512_bf16"});
}

TEST(CpuBackend, TilesOfIntegersGiveTheSameBits) {
  expect_same_outcomes({"Avx2", {.name = "cpu"}, "avx2"}, {"Amx", {.name = "cpu"}, "amx"});
}

// Against a product of rounded activations, each pair's odd column first, written out.
TEST(CpuBackend, ProductsOfBf16AddPairs) {
  constexpr int64_t kRows = 21;
  const auto kernels = make_kernels({.name = "cpu", .bf16_tiles = false});
  RandomData data(5);
  Stream stream;
  for (const int64_t columns : {1, 2, 107}) {
    const std::vector<std::byte> bytes = data.stored(DType::kBF16, kRows, columns);
    const StoredMatrix stored{DType::kBF16, kRows, columns, bytes.data()};
    const PackedWeight packed = pack(*kernels, stored);
    const Tensor x = data.tensor({1, columns});
    Tensor out = Tensor::allocate(DType::kF32, {1, 1, kRows});
    kernels->reserve(1, columns);
    const GroupStep whole{0, columns, 0, true};
    kernels->linear(x, {&packed.weight, 1}, {&whole, 1}, out, stream);
    for (int64_t row = 0; row < kRows; ++row) {
      std::vector<float> weights(static_cast<std::size_t>(columns));
      stored.dequantise(row, {0, columns}, weights.data());
      float sum = 0;
      for (int64_t k = 0; k < columns; k += 2) {
        for (const int64_t column : {k + 1, k}) {
          if (column < columns) {
            sum = std::fma(weights[static_cast<std::size_t>(column)], bf16_to_f32(f32_to_bf16(x.data<float>()[column])),
                           sum);
          }
        }
      }
      EXPECT_EQ(out.data<float>()[row], sum) << row << " of " << columns;
    }
  }
}

TEST(CpuBackend, ActivationsThatAreNotFiniteReachTheProductsOfBf16) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const auto kernels = make_kernels({.name = "cpu"});
  const std::vector<std::byte> bytes(static_cast<std::size_t>(bytes_of(DType::kBF16, 16 * 16)), std::byte{0x3F});
  const PackedWeight packed = pack(*kernels, {DType::kBF16, 16, 16, bytes.data()});
  kernels->reserve(1, 16);
  Stream stream;
  const GroupStep whole{0, 16, 0, true};
  for (const float value : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN(), 3.4e38F}) {
    Tensor x = Tensor::allocate(DType::kF32, {1, 16});
    x.data<float>()[3] = value;
    Tensor out = Tensor::allocate(DType::kF32, {1, 1, 16});
    kernels->linear(x, {&packed.weight, 1}, {&whole, 1}, out, stream);
    EXPECT_EQ(std::isnan(out.data<float>()[0]), std::isnan(value));
    EXPECT_EQ(std::isinf(out.data<float>()[0]), !std::isnan(value)) << "3.4e38 rounds to infinity";
  }
}

TEST(CpuBackend, ThreadCountsGiveTheSameBits) {
  for (const int threads : {2, 5}) {
    expect_same_outcomes({"One", {.name = "cpu", .threads = 1}, ""}, {"More", {.name = "cpu", .threads = threads}, ""});
  }
}

TEST(CpuBackend, AddsToTheRowsAndColumnsThatAreAskedFor) {
  const auto reference = make_kernels({.name = "reference"});
  const auto kernels = make_kernels({.name = "cpu", .threads = 3});
  Stream stream;
  RandomData data(1);
  for (const auto& [tokens, width] : {std::pair{1, 1}, {7, 33}, {130, 200}}) {
    const int64_t count = (tokens + 1) / 2;
    const Tensor x = data.tensor({count, width});
    const Tensor before = data.tensor({tokens, width + 5});
    Tensor rows = Tensor::allocate(DType::kI32, {count});
    for (int64_t i = 0; i < count; ++i) {
      rows.data<int32_t>()[i] = static_cast<int32_t>(tokens - 1 - 2 * i);
    }
    std::vector<float> expected(before.values<float>().begin(), before.values<float>().end());
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t j = 0; j < width; ++j) {
        float& value = expected[static_cast<std::size_t>((tokens - 1 - 2 * i) * (width + 5) + 2 + j)];
        value += 0.7F * x.values<float>()[static_cast<std::size_t>(i * width + j)];
      }
    }
    for (Kernels* one : {reference.get(), kernels.get()}) {
      Tensor y = Tensor::allocate(DType::kF32, before.shape());
      std::copy(before.values<float>().begin(), before.values<float>().end(), y.values<float>().begin());
      one->add_to_rows(x, 0.7F, rows, 2, y, stream);
      expect_same_bits(y.values<float>(), expected, "add_to_rows");
    }
  }
}

TEST(CpuBackend, RefusesAnInstructionSetItDoesNotKnow) {
  setenv("LONGSHIP_ISA", "sse9", 1);
  EXPECT_THROW(make_kernels({.name = "cpu"}), Error);
  unsetenv("LONGSHIP_ISA");
}

// As ranks do of which one cannot.
TEST(CpuBackend, RefusesTilesOfBf16WhereTheyWereNotToBeUsed) {
  setenv("LONGSHIP_ISA", "amx_bf16", 1);
  EXPECT_THROW(make_kernels({.name = "cpu", .bf16_tiles = false}), Error);
  unsetenv("LONGSHIP_ISA");
}

// An order of their own is for tiles that all ranks have, and for no others.
TEST(CpuBackend, WithoutTilesOfBf16SumsAreThoseOfEveryInstructionSet) {
  expect_same_outcomes({"Avx2", {.name = "cpu"}, "avx2"}, {"Best", {.name = "cpu", .bf16_tiles = false}, ""});
}

TEST(Factory, RefusesAnUnknownBackend) {
  EXPECT_THROW(make_kernels({.name = "abacus"}), Error);
}

}  // namespace
}  // namespace longship
