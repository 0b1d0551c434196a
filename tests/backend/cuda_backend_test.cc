// The backend of CUDA devices, here of emulated ones.
#include "engine/backend/cuda/cuda_kernels.h"
#include "every_op.h"

namespace longship {

namespace {

std::unique_ptr<Kernels> make_on_first_device(const BackendOptions& options) {
  return make_cuda_kernels(options, 0);
}

std::vector<Variant> cuda_variants() {
  std::vector<Variant> all = {make_variant("CudaEmulated", "cuda", false, ""),
                              make_variant("CudaEmulatedExact", "cuda", true, "")};
  for (Variant& variant : all) {
    variant.factory = make_on_first_device;
    variant.options.deterministic = true;
    variant.slow = true;
  }
  return all;
}

}  // namespace

// Exact ones differ in the layouts of some weights only.
std::vector<Variant> every_variant() {
  return {cuda_variants().front()};
}

std::vector<Variant> variants_near_reference() {
  return cuda_variants();
}

std::vector<Variant> variants_with_threads() {
  return every_variant();
}

namespace {

// Two weights of the same values; one behind the other, as the parts of a matrix lie.
struct Twins {
  Tensor memory;
  std::vector<Weight> parts;

  Twins(Kernels& kernels, const StoredMatrix& stored) {
    const int64_t bytes = kernels.packed_bytes(stored.dtype, stored.rows, stored.columns);
    memory = kernels.allocate(DType::kU8, {2 * bytes});
    for (int64_t i = 0; i < 2; ++i) {
      parts.push_back({stored.dtype, stored.rows, stored.columns, memory.data<std::byte>() + i * bytes});
      kernels.pack(stored, 0, parts.back());
    }
  }
};

// What linear() gives for many tokens where bits may depend on their number, beside the reference's.
void expect_products_near(DType dtype, double tolerance) {
  constexpr int64_t kTokens = 70;
  constexpr int64_t kColumns = 160;
  constexpr int64_t kOutputs = 24;
  RandomData data(9);
  const std::vector<std::byte> stored = data.stored(dtype, kOutputs, kColumns);
  const Tensor x = data.tensor({kTokens, kColumns});
  const std::vector<GroupStep> steps = ReductionTree(8, {0, 3, 8}).steps(1, 32, 256);
  std::vector<std::vector<float>> results;
  for (const auto factory : {make_kernels, make_on_first_device}) {
    const auto kernels = factory({.name = "reference"});
    const auto stream = kernels->make_stream();
    kernels->reserve(kTokens, kColumns);
    const Twins twins(*kernels, {dtype, kOutputs, kColumns, stored.data()});
    const auto nodes = std::count_if(steps.begin(), steps.end(), [](const GroupStep& s) { return s.ends_node; });
    Tensor out = kernels->allocate(DType::kF32, {nodes, kTokens, 2 * kOutputs});
    kernels->linear(to_device(*kernels, x, *stream), twins.parts, steps, out, *stream);
    const Tensor host = to_host(*kernels, out, *stream);
    results.emplace_back(host.values<float>().begin(), host.values<float>().end());
  }
  double difference = 0;
  double size = 0;
  for (std::size_t i = 0; i < results[0].size(); ++i) {
    difference += std::pow(static_cast<double>(results[0][i]) - static_cast<double>(results[1][i]), 2);
    size += std::pow(static_cast<double>(results[0][i]), 2);
  }
  EXPECT_GT(size, 0.0) << name(dtype);
  EXPECT_LE(std::sqrt(difference / size), tolerance) << name(dtype);
}

// As libraries take matrices.
TEST(CudaBackend, PlainTypesLieRowAfterRow) {
  constexpr int64_t kRows = 11;
  constexpr int64_t kColumns = 13;
  const auto kernels = make_on_first_device({.name = "cuda"});
  const auto stream = kernels->make_stream();
  RandomData data(5);
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    const std::vector<std::byte> stored = data.stored(dtype, kRows, kColumns);
    const PackedWeight packed = pack(*kernels, {dtype, kRows, kColumns, stored.data()});
    const Tensor bytes = to_host(*kernels, packed.memory, *stream);
    const int64_t row_bytes = bytes_of(dtype, kColumns);
    const int64_t stride = bytes_of(dtype, 16);
    ASSERT_EQ(bytes.elements(), 16 * stride);
    for (int64_t i = 0; i < bytes.elements(); ++i) {
      const bool value = i / stride < kRows && i % stride < row_bytes;
      const std::byte expected =
          value ? stored[static_cast<std::size_t>(i / stride * row_bytes + i % stride)] : std::byte{0};
      ASSERT_EQ(std::byte{bytes.data<uint8_t>()[i]}, expected) << name(dtype) << ' ' << i;
    }
  }
}

// Weights and activations are rounded to bf16, by at most one part in 512.
TEST(CudaBackend, ProductsOfManyTokensAreNear) {
  for (const DType dtype : kWeightTypes) {
    expect_products_near(dtype, dtype == DType::kF32 ? 1e-6 : 4e-3);
  }
}

}  // namespace
}  // namespace longship
