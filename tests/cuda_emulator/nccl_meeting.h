#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "comm/cuda/nccl_api.h"
#include "comm/shared_memory.h"

namespace longship::cuda::emulator {

/// Memory in which the ranks of an emulated communicator meet: a seat for each, and a pipe of bytes between each pair.
class NcclMeeting {
 public:
  static constexpr int kMostRanks = 16;

  /// New memory, which this process keeps open for the others until forget() or its end. Nothing if there is none.
  static std::optional<NcclUniqueId> create();
  /// Nothing where the id is none, or its maker has ended.
  static std::optional<NcclMeeting> open(const NcclUniqueId& id);
  /// Once all ranks are there nobody else needs to find it.
  static void forget(const NcclUniqueId& id);

  /// Takes a seat. False if it is taken, or if others think that there are more or fewer.
  bool sit(int rank, int ranks);
  bool is_complete(int ranks) const;
  /// After this, who waits for the rank is told that it is gone.
  void leave(int rank) { seats()[rank].left.store(true, std::memory_order_release); }
  /// Whether a rank has left, or its process has ended.
  bool is_gone(int rank) const;

  /// What a rank says of the `number`th split. Only where there are fewer than kMostSplits of them.
  static constexpr int kMostSplits = 32;
  void enter_split(int number, int rank, int color, int key);
  /// Once all ranks have said it: those of this one's color, in the order of their keys; before, nothing.
  std::vector<int> part_of_split(int number, int rank, int ranks) const;
  /// Where the ranks of a part meet, which its first one publishes.
  void publish(int number, int rank, const NcclUniqueId& id);
  std::optional<NcclUniqueId> published(int number, int rank) const;

  /// A message from one rank to another is called for, by the one or the other. The first one of a pair is under way
  /// once both have called.
  void call_message(int from, int to, bool sends) {
    layout().called[from][to][sends ? 0 : 1].store(true, std::memory_order_release);
  }
  bool both_called(int from, int to) const {
    return layout().called[from][to][0].load(std::memory_order_acquire) &&
           layout().called[from][to][1].load(std::memory_order_acquire);
  }

  /// Moves what there is room for, or what is there, up to `bytes`; returns how many.
  int64_t write(int from, int to, const std::byte* data, int64_t bytes);
  int64_t read(int from, int to, std::byte* data, int64_t bytes);

 private:
  static constexpr int64_t kPipeBytes = int64_t{1} << 18;

  struct Seat {
    alignas(128) std::atomic<int32_t> ranks = 0;  ///< As the one who sits here believes; 0 while nobody does.
    std::atomic<int32_t> process = 0;
    std::atomic<bool> left = false;
  };
  /// Counters only grow.
  struct Pipe {
    alignas(128) std::atomic<int64_t> written = 0;
    alignas(128) std::atomic<int64_t> read = 0;
  };
  struct Split {
    enum State : int32_t { kNone, kEntered, kPublished };
    std::atomic<int32_t> state = kNone;
    int32_t color = 0;
    int32_t key = 0;
    NcclUniqueId id;
  };
  struct Layout {
    Split splits[kMostSplits][kMostRanks];
    Seat seats[kMostRanks];
    Pipe pipes[kMostRanks][kMostRanks];
    std::atomic<bool> called[kMostRanks][kMostRanks][2];
    std::byte data[kMostRanks][kMostRanks][kPipeBytes];
  };

  explicit NcclMeeting(SharedMemory memory) : memory_(std::move(memory)) {}

  Layout& layout() const { return *reinterpret_cast<Layout*>(memory_.data()); }
  Seat* seats() const { return layout().seats; }

  SharedMemory memory_;
};

}  // namespace longship::cuda::emulator
