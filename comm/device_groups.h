#pragma once

#include <cstdint>
#include <memory>

#include "comm/communicator.h"

namespace longship {

/// The most that a rank of a group exchanges at a time, from which follows how much memory of its device that takes.
struct GroupTraffic {
  int64_t message_bytes = 0;  ///< From each rank but the last to the next one: the same on all. 0: no messages.
  int64_t sum_bytes = 0;      ///< What others have of the part of a sum that this rank adds up; 0: no sums.
};

/// Makes groups of a job's ranks for tensors of their devices.
class DeviceGroups {
 public:
  virtual ~DeviceGroups() = default;
  /// The ranks of `host_group`, which the result owns. All ranks of the job together, each with the group that it is
  /// in; a rank may be alone in its. Larger traffic than `most` takes more memory than was planned. Errors: kRank where
  /// the way between devices that was asked for is not possible.
  virtual std::unique_ptr<Communicator> make(std::unique_ptr<Communicator> host_group, const GroupTraffic& most) = 0;
};

}  // namespace longship
