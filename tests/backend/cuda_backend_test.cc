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

}  // namespace longship
