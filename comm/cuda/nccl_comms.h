#pragma once

#include <chrono>
#include <memory>
#include <string_view>
#include <vector>

#include "comm/communicator.h"
#include "comm/cuda/nccl_comm.h"
#include "comm/cuda/nccl_edge.h"
#include "comm/device_groups.h"

namespace longship {

/// What a group of ranks needs of NCCL: a communicator of all, and ways between neighbours, which are split off from
/// it. Used by the thread that drives the rank.
class NcclComms {
 public:
  /// The ranks of `all`, which are those of `host` in their order, all together; `host` is used only here, and only
  /// where NCCL cannot split. Errors: kRank.
  NcclComms(std::unique_ptr<NcclComm> all, Communicator& host, const GroupTraffic& most);
  /// Gives up what an error leaves behind; else ends in order.
  ~NcclComms();
  NcclComms(const NcclComms&) = delete;
  NcclComms& operator=(const NcclComms&) = delete;

  NcclComm& all() { return *all_; }
  /// Null where two ranks are no neighbours.
  NcclEdge* to(int rank) { return to_[static_cast<std::size_t>(rank)].get(); }
  NcclEdge* from(int rank) { return from_[static_cast<std::size_t>(rank)].get(); }

  /// Lets the messages under way move. Never waits.
  void progress();
  /// Throws, and gives up, if NCCL has met an error, or where `waited` is beyond the deadline.
  void check(std::string_view operation, std::chrono::nanoseconds waited);

 private:
  void split_edges(int rank, int ranks);
  void meet_at_edges(Communicator& host);
  void add_edge(int from, int to, int rank, std::unique_ptr<NcclComm> comm);
  void abort();

  std::unique_ptr<NcclComm> all_;
  std::size_t largest_;                          ///< Bytes of a message.
  std::vector<std::unique_ptr<NcclEdge>> to_;    ///< By receiver.
  std::vector<std::unique_ptr<NcclEdge>> from_;  ///< By sender.
};

/// The ranks of `host`, all together, at an id that rank 0 makes. Errors: kRank.
std::unique_ptr<NcclComm> meet_over_nccl(const NcclApi& api, Communicator& host, std::chrono::milliseconds deadline);

}  // namespace longship
