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

// What linear() gives for many tokens where bits may depend on their number, beside the reference's.
void expect_products_near(DType dtype, double tolerance) {
  constexpr int64_t kTokens = 20;
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
    const PackedWeight packed = pack(*kernels, {dtype, kOutputs, kColumns, stored.data()});
    const std::vector<Weight> parts = {packed.weight, packed.weight};
    const auto nodes = std::count_if(steps.begin(), steps.end(), [](const GroupStep& s) { return s.ends_node; });
    Tensor out = kernels->allocate(DType::kF32, {nodes, kTokens, 2 * kOutputs});
    kernels->linear(to_device(*kernels, x, *stream), parts, steps, out, *stream);
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

// Weights and activations are rounded to bf16, by at most one part in 512.
TEST(CudaBackend, ProductsOfManyTokensAreNear) {
  for (const DType dtype : kWeightTypes) {
    expect_products_near(dtype, dtype == DType::kF32 ? 1e-6 : 4e-3);
  }
}

}  // namespace
}  // namespace longship
