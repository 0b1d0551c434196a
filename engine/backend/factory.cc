#include "engine/backend/cpu/cpu_kernels.h"
#include "engine/backend/kernels.h"
#include "engine/backend/reference/reference_kernels.h"

namespace longship {

std::unique_ptr<Kernels> make_kernels(const BackendOptions& options) {
  if (options.name == "reference") {
    return make_reference_kernels();
  }
  if (options.name == "cpu") {
    return make_cpu_kernels(options);
  }
  throw Error(ErrorKind::kUsage, "there is no backend \"" + options.name + "\"", "Use --backend cpu or reference.");
}

}  // namespace longship
