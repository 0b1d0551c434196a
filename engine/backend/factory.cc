#include "engine/backend/cpu/cpu_kernels.h"
#include "engine/backend/cpu/isa.h"
#include "engine/backend/cuda_plugin.h"
#include "engine/backend/kernels.h"
#include "engine/backend/reference/reference_kernels.h"

namespace longship {

bool has_bf16_tiles() {
  return cpu::has_bf16_tiles();
}

std::unique_ptr<Kernels> make_kernels(const BackendOptions& options) {
  if (options.name == "reference") {
    return make_reference_kernels();
  }
  if (options.name == "cpu") {
    return make_cpu_kernels(options);
  }
  if (options.name == "cuda" || options.name == "cuda-emulated") {
    return cuda_plugin(options.name == "cuda-emulated", options.device).make_kernels(options, options.device);
  }
  throw Error(ErrorKind::kUsage, "there is no backend \"" + options.name + "\"", "Use cpu, reference or cuda.");
}

}  // namespace longship
