// A plug-in of another build, as far as it is looked at.
#include "engine/backend/cuda_plugin.h"

namespace {

constexpr longship::CudaPlugin of_another_build() {
  longship::CudaPlugin plugin{};
  plugin.abi = "another";
  return plugin;
}

constexpr longship::CudaPlugin kPlugin = of_another_build();

}  // namespace

const longship::CudaPlugin* longship_cuda_plugin() {
  return &kPlugin;
}
