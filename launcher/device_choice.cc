#include "launcher/device_choice.h"

#include "engine/backend/cuda_plugin.h"
#include "launcher/host/host_memory.h"

namespace longship {

namespace {

bool is_device_wire(const std::string& comm) {
  return comm == "nccl" || comm == "ipc";
}

std::string backend_name(const EngineOptions& options, bool auto_is_cuda) {
  const std::string device = options.device == "auto" ? (auto_is_cuda ? "cuda" : "cpu") : options.device;
  return device == "cpu" ? options.backend : device;
}

}  // namespace

bool has_cuda_device(std::string& why) {
  try {
    const CudaPlugin* plugin = find_cuda_plugin(false, why);
    return plugin != nullptr && plugin->device_count(why) > 0;
  } catch (const Error& error) {
    why = error.cause();
    return false;
  }
}

DeviceChoice::DeviceChoice(const EngineOptions& options, const CommonMeans& common)
    : backend_{.name = backend_name(options, common.cuda),
               .threads = options.threads,
               .exact = options.exact,
               .deterministic = options.deterministic || options.exact,
               .bf16_tiles = common.bf16_tiles,
               .device = -1},
      wire_(is_device_wire(options.comm) || options.comm == "auto" ? options.comm : "host") {
  if (is_cpu() && is_device_wire(options.comm)) {
    throw Error(ErrorKind::kUsage, "--comm " + options.comm + " moves data between GPUs, and ranks compute on CPUs",
                "Use --comm auto, shm or mpi, or --device cuda.");
  }
  if (!is_cpu() && !options.pack_cache.empty()) {
    throw Error(ErrorKind::kUsage, "--pack-cache keeps weights as CPUs use them, and ranks compute on GPUs",
                "Leave the option out.");
  }
}

DeviceChoice::DeviceChoice(const EngineOptions& options, const CommonMeans& common, const HostPlace& place)
    : DeviceChoice(options, common) {
  if (is_cpu()) {
    return;
  }
  std::string why;
  const int devices = cuda_plugin(is_emulated(), 0).device_count(why);
  backend_.device = place.index % devices;
  sharers_ = place.count / devices + (backend_.device < place.count % devices ? 1 : 0);
}

DeviceChoice DeviceChoice::for_plan(const EngineOptions& options, bool auto_is_cuda) {
  DeviceChoice choice(options, {.cuda = auto_is_cuda, .bf16_tiles = false});
  if (!choice.is_cpu()) {
    std::string why;
    choice.backend_.device = cuda_plugin(choice.is_emulated(), -1).device_count(why) > 0 ? 0 : -1;
  }
  return choice;
}

std::string DeviceChoice::name(const Kernels& kernels) const {
  return std::string(kernels.name()) + (is_cpu() ? "" : ":" + std::to_string(backend_.device));
}

std::unique_ptr<Kernels> DeviceChoice::make_kernels() const {
  return longship::make_kernels(backend_);
}

std::unique_ptr<DeviceGroups> DeviceChoice::make_groups(Communicator& world) const {
  if (is_cpu()) {
    return nullptr;
  }
  return cuda_plugin(is_emulated(), backend_.device)
      .make_groups(world, {.wire = wire_, .device = backend_.device, .deadline = TransportOptions{}.deadline});
}

int64_t DeviceChoice::group_bytes(int rank, int ranks, const GroupTraffic& most) const {
  return is_cpu() ? 0 : cuda_plugin(is_emulated(), backend_.device).group_bytes(wire_, rank, ranks, most);
}

std::optional<KvBudget> budget_here(const EngineOptions& options, int ranks) {
  std::string why;
  const bool auto_is_cuda = options.device == "auto" && has_cuda_device(why);
  if (DeviceChoice::for_plan(options, auto_is_cuda).is_cpu()) {
    return KvBudget::of_host(options, available_memory_bytes(), ranks);
  }
  if (options.device == "cuda" && !has_cuda_device(why)) {
    return std::nullopt;
  }
  const DeviceChoice choice(options, {.cuda = auto_is_cuda, .bf16_tiles = false}, {.index = 0, .count = ranks});
  const std::unique_ptr<Kernels> kernels = choice.make_kernels();
  return KvBudget::of_device(options, kernels->device_memory().value(), choice.sharers());
}

std::string host_wire(const std::string& comm) {
  return is_device_wire(comm) ? "auto" : comm;
}

}  // namespace longship
