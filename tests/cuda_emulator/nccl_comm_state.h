#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "comm/cuda/nccl_api.h"
#include "tests/cuda_emulator/nccl_meeting.h"
#include "tests/cuda_emulator/nccl_outbox.h"

namespace longship {

/// An emulated communicator.
struct NcclOpaque {
  NcclOpaque(cuda::emulator::NcclMeeting place, const NcclUniqueId& meeting_id, int my_rank, int all_ranks)
      : meeting(std::move(place)),
        outbox(meeting, my_rank, all_ranks),
        id(meeting_id),
        rank(my_rank),
        ranks(all_ranks) {}

  /// The split of a communicator, until all ranks have called it and those of this one's color have met.
  struct Split {
    int number = 0;
    bool joins = false;
    NcclHandle* to = nullptr;
    std::shared_ptr<NcclOpaque> made = {};
  };

  cuda::emulator::NcclMeeting meeting;
  cuda::emulator::NcclOutbox outbox;
  NcclUniqueId id;
  int rank;
  int ranks;
  std::shared_ptr<NcclOpaque> self = {};             ///< Until its end; work on streams may know it for longer.
  uint64_t collectives = 0;                          ///< Called so far on this rank.
  bool ready = false;                                ///< All ranks have been seen.
  std::vector<std::pair<int, int>> connecting = {};  ///< Pairs of ranks, this one in each, whose first message waits.
  int splits = 0;                                    ///< Called so far on this rank.
  std::optional<Split> splitting = {};               ///< Under way.
  bool ending = false;
  std::shared_ptr<std::atomic<int>> graphs = std::make_shared<std::atomic<int>>(0);  ///< That hold its operations.
  std::atomic<bool> aborted = false;
  std::atomic<NcclResult> error = NcclResult::kSuccess;
  std::string explanation = {};  ///< Of the error; written before it.

  /// The first error stays.
  void fail(const std::string& why) {
    if (error.load() == NcclResult::kSuccess) {
      explanation = why;
      error.store(NcclResult::kRemoteError);
    }
  }
};

}  // namespace longship
