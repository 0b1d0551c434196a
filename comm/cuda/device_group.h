#pragma once

#include <chrono>
#include <memory>
#include <string_view>

#include "comm/device_groups.h"
#include "comm/transport.h"

namespace longship {

/// What ranks with a device each use between their devices.
enum class DeviceWire : uint8_t {
  kAuto,  ///< CUDA IPC where all ranks of a group can, else NCCL where they can, else host memory.
  kIpc,   ///< Memory of the devices of one host: a group for which that is impossible is an error.
  kNccl,  ///< NCCL, which must be there.
  kHost,  ///< Copied through host memory.
};

/// Errors: kUsage for another name than "auto", "ipc", "nccl" and "host".
DeviceWire device_wire_of(std::string_view name);

/// The ranks of `host` for tensors of their devices, and what they use: "ipc", "nccl" or "host"; "self" for one rank.
/// All ranks of `host` together; all get the same. A wait beyond the deadline throws kRank. Errors: kRank where the
/// wire is not possible.
NamedCommunicator make_device_group(DeviceWire wire, std::unique_ptr<Communicator> host,
                                    std::chrono::milliseconds deadline, const GroupTraffic& most = {});

/// Bytes of its device that rank `rank` of a group of `ranks` takes for that: where kAuto may be several ways, of the
/// one that takes most. What NCCL has for itself is not known.
int64_t device_group_bytes(DeviceWire wire, int rank, int ranks, const GroupTraffic& most);

/// Groups of the ranks of `world`, which outlives them, each as make_device_group() would make it. Where groups need
/// NCCL, they are split off from one communicator of all ranks, if no two ranks have the same device and NCCL can
/// split; else the ranks of each meet by themselves. `device`: this rank's, among those that its process sees.
std::unique_ptr<DeviceGroups> make_device_groups(DeviceWire wire, Communicator& world, int device,
                                                 std::chrono::milliseconds deadline);

}  // namespace longship
