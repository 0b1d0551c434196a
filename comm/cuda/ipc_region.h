#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.h"

namespace longship {

/// Device memory of one rank that all ranks of a group on one host can write to, and theirs as this rank sees it. Ranks
/// that are threads of one process use each other's memory as it is; they share a device.
class IpcRegion {
 public:
  /// All ranks of `host` together, which outlives the region: `bytes` of memory each, of which the first `zeros` are
  /// zero. Null on every rank, and `why`, if one cannot see the memory of another.
  static std::unique_ptr<IpcRegion> make(Communicator& host, std::size_t bytes, std::size_t zeros, std::string& why);
  /// All ranks together, so that nobody's memory goes while another has it open, unless an error ends the job.
  ~IpcRegion();
  IpcRegion(const IpcRegion&) = delete;
  IpcRegion& operator=(const IpcRegion&) = delete;

  std::byte* of(int rank) const { return seen_[static_cast<std::size_t>(rank)]; }
  /// Whether a rank is a thread of this process: an address is the same for both.
  bool shares_process(int rank) const { return near_[static_cast<std::size_t>(rank)]; }

 private:
  IpcRegion(Communicator& host, std::shared_ptr<void> memory);

  std::string open_all();
  void close_all();

  Communicator& host_;
  std::shared_ptr<void> memory_;
  std::vector<std::byte*> seen_;    ///< By rank.
  std::vector<bool> near_;          ///< By rank: of this process.
  std::vector<std::byte*> opened_;  ///< Those of them that are to be closed.
};

}  // namespace longship
