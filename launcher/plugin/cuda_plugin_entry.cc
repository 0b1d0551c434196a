#include <dlfcn.h>

#include "comm/cuda/device_group.h"
#include "cuda/api.h"
#include "engine/backend/cuda/cuda_kernels.h"
#include "engine/backend/cuda_plugin.h"

namespace longship {

namespace {

constexpr int kLeastMajor = 8;  // PTX of compute_80 is the least that is built

std::string_view name() {
  return cuda::api().name;
}

int device_count(std::string& why) {
  int count = 0;
  const cuda::Status status = cuda::api().device_count(&count);
  if (status != cuda::kSuccess) {
    // Without a driver the runtime speaks of one that is too old.
    void* driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    why = driver == nullptr ? "there is no NVIDIA driver (libcuda.so.1)" : cuda::api().error_string(status);
    cuda::api().last_error();  // or the next call would report it
    return 0;
  }
  if (count == 0) {
    why = "this host has none";
  }
  for (int device = 0; device < count; ++device) {
    cuda::DeviceProperties properties;
    cuda::check(cuda::api().device_properties(&properties, device), "ask for the device's properties");
    if (properties.major < kLeastMajor) {
      why = "device " + std::to_string(device) + " (" + properties.name.data() + ") has compute capability " +
            std::to_string(properties.major) + "." + std::to_string(properties.minor) + ", and kernels need " +
            std::to_string(kLeastMajor) + ".0; CUDA_VISIBLE_DEVICES leaves devices out";
      return 0;
    }
  }
  return count;
}

std::unique_ptr<DeviceGroups> make_groups(Communicator& world, const DeviceGroupOptions& options) {
  return make_device_groups(device_wire_of(options.wire), world, options.device, options.deadline);
}

int64_t group_bytes(const std::string& wire, int rank, int ranks, const GroupTraffic& most) {
  return device_group_bytes(device_wire_of(wire), rank, ranks, most);
}

std::string facts() {
  std::string text;
  std::string why;
  const int devices = device_count(why);
  for (int device = 0; device < devices; ++device) {
    cuda::DeviceProperties properties;
    cuda::check(cuda::api().device_properties(&properties, device), "ask for the device's properties");
    text += "device " + std::to_string(device) + ": " + properties.name.data() + ", sm_" +
            std::to_string(properties.major) + std::to_string(properties.minor) + ", " +
            std::to_string(properties.memory_bytes >> 20U) + " MiB\n";
  }
  return text;
}

constexpr CudaPlugin kPlugin = {
    LONGSHIP_CUDA_PLUGIN_ABI, name, device_count, make_cuda_kernels, make_groups, group_bytes, facts};

}  // namespace

}  // namespace longship

const longship::CudaPlugin* longship_cuda_plugin() {
  return &longship::kPlugin;
}
