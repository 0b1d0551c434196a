#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "comm/mpi_port.h"

namespace longship {

/// The memory of the processes of a group on one host, which the kernel copies from one to another at once
/// (process_vm_readv(2)) where it lets them.
class PeerMemory {
 public:
  /// All ranks of `port` together. Null, on every rank, if one may not read another.
  static std::unique_ptr<PeerMemory> make(MpiPort& port);

  /// Copies what lies at `from` in the process of `peer`, which leaves it alone meanwhile. False where that process is
  /// gone.
  bool read(int peer, const void* from, int64_t bytes, void* to) const;

 private:
  PeerMemory() = default;

  std::vector<pid_t> processes_;
};

}  // namespace longship
