#include "engine/backend/cuda_plugin.h"

#include <dlfcn.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <mutex>

namespace longship {

namespace {

namespace fs = std::filesystem;

fs::path plugin_path(bool emulated) {
  const char* folder = std::getenv("LONGSHIP_PLUGIN_DIR");
  const fs::path base =
      folder != nullptr && *folder != '\0' ? fs::path(folder) : fs::read_symlink("/proc/self/exe").parent_path();
  return base / (emulated ? "liblongship_cuda_emulated.so" : "liblongship_cuda.so");
}

const CudaPlugin* load(const fs::path& path, bool emulated) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw Error(ErrorKind::kUsage, "the plug-in cannot be loaded: " + std::string(dlerror()),
                "Build it again on this host (scripts/build).");
  }
  using Entry = const CudaPlugin* (*)();
  const auto entry = reinterpret_cast<Entry>(dlsym(library, "longship_cuda_plugin"));
  if (entry == nullptr || entry()->abi != cuda_plugin_abi()) {
    throw Error(ErrorKind::kUsage, path.native() + " belongs to another build of longship",
                "Build the program and its plug-ins together (scripts/build).");
  }
  // Nothing stands in for a GPU, whatever a file is called.
  if (entry()->name() != (emulated ? "cuda-emulated" : "cuda")) {
    throw Error(ErrorKind::kUsage, path.native() + " is for --device " + std::string(entry()->name()),
                "Build the program and its plug-ins together (scripts/build).");
  }
  return entry();
}

}  // namespace

std::string_view cuda_plugin_abi() {
  return LONGSHIP_CUDA_PLUGIN_ABI;
}

const CudaPlugin* find_cuda_plugin(bool emulated, std::string& why) {
  static std::mutex mutex;
  static std::array<const CudaPlugin*, 2> loaded = {};
  const std::lock_guard lock(mutex);
  const CudaPlugin*& plugin = loaded.at(emulated ? 1 : 0);
  if (plugin == nullptr) {
    const fs::path path = plugin_path(emulated);
    if (!fs::exists(path)) {
      why = "there is no " + path.native();
      return nullptr;
    }
    plugin = load(path, emulated);
  }
  return plugin;
}

const CudaPlugin& cuda_plugin(bool emulated, int device) {
  std::string why;
  const CudaPlugin* plugin = find_cuda_plugin(emulated, why);
  if (plugin == nullptr) {
    throw Error(ErrorKind::kUsage, why,
                emulated ? "Build the target longship_cuda_emulated."
                         : "Build on a host with nvcc (CMake option LONGSHIP_CUDA), or use --device cpu.");
  }
  if (device < 0) {
    return *plugin;
  }
  const int devices = plugin->device_count(why);
  if (device >= devices) {
    const std::string cause =
        devices == 0 ? "no CUDA device can be used: " + why : "there is no CUDA device " + std::to_string(device);
    throw Error(ErrorKind::kUsage, cause, "Use --device cpu, or see what longship doctor says.");
  }
  return *plugin;
}

}  // namespace longship
