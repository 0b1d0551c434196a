#pragma once

#include <memory>

#include "comm/communicator.h"

namespace longship {

/// Makes groups of a job's ranks for tensors of their devices.
class DeviceGroups {
 public:
  virtual ~DeviceGroups() = default;
  /// The ranks of `host_group`, which the result owns. All ranks of the job together, each with the group that it is
  /// in; a rank may be alone in its. Errors: kRank where the way between devices that was asked for is not possible.
  virtual std::unique_ptr<Communicator> make(std::unique_ptr<Communicator> host_group) = 0;
};

}  // namespace longship
