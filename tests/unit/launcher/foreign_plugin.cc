// A plug-in of another build, as far as it is looked at.
#include "engine/backend/cuda_plugin.h"

namespace {

constexpr longship::CudaPlugin kPlugin = {.abi = "another"};

}  // namespace

const longship::CudaPlugin* longship_cuda_plugin() {
  return &kPlugin;
}
