#pragma once

#include <chrono>
#include <memory>
#include <string_view>

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
                                    std::chrono::milliseconds deadline);

}  // namespace longship
