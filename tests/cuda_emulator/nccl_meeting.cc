#include "tests/cuda_emulator/nccl_meeting.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <vector>

namespace longship::cuda::emulator {

namespace {

static_assert(sizeof(SharedMemory::Key) <= sizeof(NcclUniqueId));

SharedMemory::Key key_in(const NcclUniqueId& id) {
  SharedMemory::Key key;
  std::memcpy(&key, id.bytes, sizeof key);
  return key;
}

std::mutex open_meetings_mutex;
std::vector<SharedMemory> open_meetings;

}  // namespace

std::optional<NcclUniqueId> NcclMeeting::create() {
  std::optional<SharedMemory> memory = SharedMemory::create(sizeof(Layout));
  if (!memory.has_value()) {
    return std::nullopt;
  }
  NcclUniqueId id;
  std::memcpy(id.bytes, &memory->key(), sizeof(SharedMemory::Key));
  const std::lock_guard lock(open_meetings_mutex);
  open_meetings.push_back(std::move(*memory));
  return id;
}

std::optional<NcclMeeting> NcclMeeting::open(const NcclUniqueId& id) {
  std::optional<SharedMemory> memory = SharedMemory::open(key_in(id));
  if (!memory.has_value()) {
    return std::nullopt;
  }
  return NcclMeeting(std::move(*memory));
}

void NcclMeeting::forget(const NcclUniqueId& id) {
  const uint64_t nonce = key_in(id).nonce;
  const std::lock_guard lock(open_meetings_mutex);
  std::erase_if(open_meetings, [&](const SharedMemory& memory) { return memory.key().nonce == nonce; });
}

bool NcclMeeting::sit(int rank, int ranks) {
  const bool agree = std::all_of(seats(), seats() + kMostRanks, [&](const Seat& seat) {
    const int32_t theirs = seat.ranks.load(std::memory_order_acquire);
    return theirs == 0 || theirs == ranks;
  });
  seats()[rank].process.store(getpid(), std::memory_order_relaxed);
  return agree && seats()[rank].ranks.exchange(ranks, std::memory_order_acq_rel) == 0;
}

bool NcclMeeting::is_complete(int ranks) const {
  return std::all_of(seats(), seats() + ranks,
                     [](const Seat& seat) { return seat.ranks.load(std::memory_order_acquire) != 0; });
}

bool NcclMeeting::is_gone(int rank) const {
  const Seat& seat = seats()[rank];
  if (seat.ranks.load(std::memory_order_acquire) == 0) {
    return false;
  }
  return seat.left.load(std::memory_order_acquire) ||
         (kill(seat.process.load(std::memory_order_relaxed), 0) != 0 && errno == ESRCH);
}

void NcclMeeting::enter_split(int number, int rank, int color, int key) {
  Split& split = layout().splits[number][rank];
  split.color = color;
  split.key = key;
  split.state.store(Split::kEntered, std::memory_order_release);
}

std::vector<int> NcclMeeting::part_of_split(int number, int rank, int ranks) const {
  const Split* splits = layout().splits[number];
  std::vector<int> part;
  for (int other = 0; other < ranks; ++other) {
    if (splits[other].state.load(std::memory_order_acquire) == Split::kNone) {
      return {};
    }
    if (splits[other].color == splits[rank].color) {
      part.push_back(other);
    }
  }
  std::ranges::stable_sort(part, {}, [&](int other) { return splits[other].key; });
  return part;
}

void NcclMeeting::publish(int number, int rank, const NcclUniqueId& id) {
  Split& split = layout().splits[number][rank];
  split.id = id;
  split.state.store(Split::kPublished, std::memory_order_release);
}

std::optional<NcclUniqueId> NcclMeeting::published(int number, int rank) const {
  const Split& split = layout().splits[number][rank];
  return split.state.load(std::memory_order_acquire) == Split::kPublished ? std::optional(split.id) : std::nullopt;
}

int64_t NcclMeeting::write(int from, int to, const std::byte* data, int64_t bytes) {
  Pipe& pipe = layout().pipes[from][to];
  const int64_t written = pipe.written.load(std::memory_order_relaxed);
  const int64_t room = kPipeBytes - (written - pipe.read.load(std::memory_order_acquire));
  const int64_t at = written % kPipeBytes;
  const int64_t count = std::min({bytes, room, kPipeBytes - at});
  std::memcpy(layout().data[from][to] + at, data, static_cast<std::size_t>(count));
  pipe.written.store(written + count, std::memory_order_release);
  return count;
}

int64_t NcclMeeting::read(int from, int to, std::byte* data, int64_t bytes) {
  Pipe& pipe = layout().pipes[from][to];
  const int64_t read = pipe.read.load(std::memory_order_relaxed);
  const int64_t there = pipe.written.load(std::memory_order_acquire) - read;
  const int64_t at = read % kPipeBytes;
  const int64_t count = std::min({bytes, there, kPipeBytes - at});
  std::memcpy(data, layout().data[from][to] + at, static_cast<std::size_t>(count));
  pipe.read.store(read + count, std::memory_order_release);
  return count;
}

}  // namespace longship::cuda::emulator
