#pragma once

#include <memory>
#include <optional>
#include <string>

#include "comm/device_groups.h"
#include "comm/transport.h"
#include "engine/backend/kernels.h"
#include "launcher/kv_size.h"
#include "launcher/options/engine_options.h"

namespace longship {

/// Whether this process can compute on a GPU; if not, `why` says why.
bool has_cuda_device(std::string& why);

/// What all ranks of a mesh can do, and so all of them do.
struct CommonMeans {
  bool cuda = false;        ///< Compute on GPUs.
  bool bf16_tiles = false;  ///< See BackendOptions.
};

/// Where one rank computes: on a CPU, or on one of its host's GPUs, which ranks of the host take in turn.
class DeviceChoice {
 public:
  /// `options.device`, where "auto" is "cuda" if all ranks can. Errors: kUsage if there is no such device here.
  DeviceChoice(const EngineOptions& options, const CommonMeans& common, const HostPlace& place);
  /// For a plan: the kernels count only; no device is needed, but the first one here says its properties.
  static DeviceChoice for_plan(const EngineOptions& options, bool auto_is_cuda);

  bool is_cpu() const { return backend_.name != "cuda" && !is_emulated(); }
  /// Whether a row's result does not depend on the rows beside it.
  bool is_repeatable() const { return is_cpu() || backend_.deterministic; }
  /// Ranks that compute on the same device, this one included.
  int sharers() const { return sharers_; }
  /// "cpu/avx2", "cuda:1".
  std::string name(const Kernels& kernels) const;
  std::unique_ptr<Kernels> make_kernels() const;
  /// For groups of the ranks of `world`, which outlives them, for tensors of the kernels' devices; null where these are
  /// in host memory.
  std::unique_ptr<DeviceGroups> make_groups(Communicator& world) const;
  /// Bytes of its device that a rank takes for such a group of `ranks`, as the one of number `rank`.
  int64_t group_bytes(int rank, int ranks, const GroupTraffic& most) const;

 private:
  DeviceChoice(const EngineOptions& options, const CommonMeans& common);
  bool is_emulated() const { return backend_.name == "cuda-emulated"; }

  BackendOptions backend_;
  std::string wire_;
  int sharers_ = 1;
};

/// What each of `ranks` ranks of a host like this one may use; nothing where they compute on devices that it has not.
std::optional<KvBudget> budget_here(const EngineOptions& options, int ranks);

/// What `--comm` says of the way between host memories: where it names one between GPUs, "auto".
std::string host_wire(const std::string& comm);

}  // namespace longship
