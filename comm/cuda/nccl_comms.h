#pragma once

#include <chrono>
#include <memory>
#include <string_view>
#include <vector>

#include "comm/communicator.h"
#include "comm/cuda/nccl_comm.h"
#include "comm/cuda/nccl_edge.h"

namespace longship {

/// What a group of ranks needs of NCCL: a communicator of all, and ways between neighbours. Used by the thread that
/// drives the rank.
class NcclComms {
 public:
  /// All ranks of `host` together, which is used only here. Errors: kRank.
  NcclComms(const NcclApi& api, Communicator& host, std::chrono::milliseconds deadline);
  /// Gives up what an error leaves behind; else ends in order.
  ~NcclComms();
  NcclComms(const NcclComms&) = delete;
  NcclComms& operator=(const NcclComms&) = delete;

  NcclComm& all() { return all_; }
  /// Null where two ranks are no neighbours.
  NcclEdge* to(int rank) { return to_[static_cast<std::size_t>(rank)].get(); }
  NcclEdge* from(int rank) { return from_[static_cast<std::size_t>(rank)].get(); }

  /// Lets the messages under way move. Never waits.
  void progress();
  /// Throws, and gives up, if NCCL has met an error, or where `waited` is beyond the deadline.
  void check(std::string_view operation, std::chrono::nanoseconds waited);

 private:
  void make_edges(Communicator& host);
  void abort();

  std::chrono::milliseconds deadline_;
  NcclComm all_;
  std::vector<std::unique_ptr<NcclEdge>> to_;    ///< By receiver.
  std::vector<std::unique_ptr<NcclEdge>> from_;  ///< By sender.
};

}  // namespace longship
