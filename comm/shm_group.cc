#include "comm/shm_group.h"

#include <utility>

#include "comm/map_together.h"

namespace longship {

namespace {

// Where the memory holds, behind a flag a rank: a pipe's counters a pair, two buffers a
// rank, a pipe's bytes a pair.
struct Layout {
  int64_t pipes;
  int64_t buffers;
  int64_t pipe_data;
  int64_t end;
};

int64_t pipe_bytes_of(int ranks) {
  constexpr int64_t kMost = int64_t{1} << 20;
  constexpr int64_t kLeast = int64_t{1} << 16;
  constexpr int64_t kOfAll = int64_t{1} << 28;
  int64_t bytes = kMost;
  while (bytes > kLeast && bytes * ranks * ranks > kOfAll) {
    bytes /= 2;
  }
  return bytes;
}

Layout layout_of(int64_t ranks, int64_t flag_bytes, int64_t counter_bytes) {
  Layout layout{};
  layout.pipes = ranks * flag_bytes;
  layout.buffers = layout.pipes + ranks * ranks * counter_bytes;
  layout.pipe_data = layout.buffers + 2 * ranks * ShmGroup::kBufferBytes;
  layout.end = layout.pipe_data + ranks * ranks * pipe_bytes_of(static_cast<int>(ranks));
  return layout;
}

}  // namespace

std::unique_ptr<ShmGroup> ShmGroup::make(MpiJob& job, MpiPort& port) {
  std::optional<SharedMemory> memory = map_together(port, layout_of(port.size(), sizeof(Flag), sizeof(Pipe)).end);
  return memory ? std::unique_ptr<ShmGroup>(new ShmGroup(job, port, std::move(*memory))) : nullptr;
}

// Memory of zeros holds flags and counters of zero: no rank need construct them first.
ShmGroup::ShmGroup(MpiJob& job, MpiPort& port, SharedMemory memory)
    : job_(job),
      port_(port),
      memory_(std::move(memory)),
      pipe_bytes_(pipe_bytes_of(port.size())),
      seen_(static_cast<std::size_t>(port.size())) {
  const Layout layout = layout_of(size(), sizeof(Flag), sizeof(Pipe));
  flags_ = reinterpret_cast<Flag*>(memory_.data());
  pipes_ = reinterpret_cast<Pipe*>(memory_.data() + layout.pipes);
  buffers_ = memory_.data() + layout.buffers;
  pipe_data_ = memory_.data() + layout.pipe_data;
}

std::byte* ShmGroup::buffer(int rank) const {
  return buffers_ + (2 * rank + static_cast<int64_t>(round_ % 2)) * kBufferBytes;
}

ShmGroup::Pipe& ShmGroup::pipe(int from, int to) const {
  return pipes_[from * size() + to];
}

std::byte* ShmGroup::pipe_data(int from, int to) const {
  return pipe_data_ + (int64_t{from} * size() + to) * pipe_bytes_;
}

void ShmGroup::begin_round(std::string_view operation) {
  for (int peer = 0; peer < size(); ++peer) {
    wait_for(peer, round_, operation);
  }
  ++round_;
}

void ShmGroup::arrive() {
  seen_[static_cast<std::size_t>(rank())] = round_;
  flags_[rank()].round.store(round_, std::memory_order_release);
}

const std::byte* ShmGroup::incoming(int peer, std::string_view operation) {
  wait_for(peer, round_, operation);
  return buffer(peer);
}

void ShmGroup::wait_for(int peer, uint64_t round, std::string_view operation) {
  uint64_t& seen = seen_[static_cast<std::size_t>(peer)];
  if (seen < round) {
    const std::atomic<uint64_t>& flag = flags_[peer].round;
    wait_until([&] { return (seen = flag.load(std::memory_order_acquire)) >= round; }, peer, operation);
  }
}

void ShmGroup::pause(Patience& patience, int peer) {
  // MPI moves what it has under way only while it is called, which need not be often.
  if (++pauses_ % 16 == 0) {
    job_.advance();
    port_.poke();
  }
  if (!patience.pause()) {
    job_.broken = true;
    throw patience.error(port_.job_rank(peer));
  }
}

}  // namespace longship
