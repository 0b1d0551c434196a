#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "comm/device_groups.h"
#include "engine/backend/kernels.h"

namespace longship {

/// How ranks exchange the tensors of their devices.
struct DeviceGroupOptions {
  std::string wire = "auto";  ///< "auto", "nccl", "ipc", or "host" (copied through host memory).
  int device = 0;             ///< Of this rank.
  std::chrono::milliseconds deadline{};
};

/// What a library with CUDA code gives the program. The library is loaded when devices of its kind are wanted and stays
/// loaded, so one binary runs with and without GPUs.
struct CudaPlugin {
  /// cuda_plugin_abi() of the sources that it was built from; the rest may be used only if it equals the program's.
  const char* abi;
  /// Whose devices these are: "cuda" or "cuda-emulated".
  std::string_view (*name)();
  /// Devices that this process can use; where there are none, `why` says why.
  int (*device_count)(std::string& why);
  /// Kernels of a device; device -1 only counts bytes, for plans. Errors: kUsage, kDoesNotFit.
  std::unique_ptr<Kernels> (*make_kernels)(const BackendOptions& options, int device);
  /// For groups of the ranks of `world` (tensors in host memory), which outlives the groups, as kernels do. Errors:
  /// kUsage for another wire.
  std::unique_ptr<DeviceGroups> (*make_groups)(Communicator& world, const DeviceGroupOptions& options);
  /// Bytes of its device that rank `rank` of a group of `ranks` takes for that. Errors: kUsage for another wire.
  int64_t (*group_bytes)(const std::string& wire, int rank, int ranks, const GroupTraffic& most);
  /// What it was built for and the libraries that it uses where they are found, one fact a line: "NCCL 2.28.9", or
  /// why not.
  std::string (*facts)();
};

/// Names everything that the program and its plug-ins have to agree on: compiler and shared declarations.
std::string_view cuda_plugin_abi();

/// "liblongship_cuda.so", or with `emulated` "liblongship_cuda_emulated.so", in the folder of the program or that of
/// LONGSHIP_PLUGIN_DIR. Loaded once. Null where there is none, `why` says so. Errors: kUsage for one that cannot be
/// loaded, belongs to another build or is the other of the two.
const CudaPlugin* find_cuda_plugin(bool emulated, std::string& why);

/// As find_cuda_plugin(), for work on `device` (-1: on none). Errors: kUsage, its cause the reason.
const CudaPlugin& cuda_plugin(bool emulated, int device);

}  // namespace longship

/// The one name that a plug-in exports.
extern "C" const longship::CudaPlugin* longship_cuda_plugin();
