#include "comm/peer_memory.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <random>
#include <string_view>

namespace longship {

namespace {

enum Tag : int { kIntroduction = 16, kReads };

constexpr std::string_view kOperation = "reading the memory of";

// Who a rank is, and a word of its memory by which others know that they read it and not a stranger of that number.
struct Introduction {
  pid_t process;
  const uint64_t* word;
  uint64_t value;
};

}  // namespace

std::unique_ptr<PeerMemory> PeerMemory::make(MpiPort& port) {
  const uint64_t word = (uint64_t{std::random_device()()} << 32) | std::random_device()();
  const Introduction own{getpid(), &word, word};
  std::vector<Introduction> all(static_cast<std::size_t>(port.size()), own);
  for (int rank = 0; rank < port.size(); ++rank) {
    if (rank != port.rank()) {
      port.take(&all[static_cast<std::size_t>(rank)], sizeof own, rank, kIntroduction);
      port.give(&own, sizeof own, rank, kIntroduction);
    }
  }
  port.finish(kOperation);
  std::unique_ptr<PeerMemory> memory(new PeerMemory);
  bool readable = true;
  for (int rank = 0; rank < port.size(); ++rank) {
    const Introduction& peer = all[static_cast<std::size_t>(rank)];
    memory->processes_.push_back(peer.process);
    uint64_t seen = 0;
    readable = readable && memory->read(rank, peer.word, sizeof seen, &seen) && seen == peer.value;
  }
  // Where all agree, all have read every word.
  return port.all(readable, kReads, kOperation) ? std::move(memory) : nullptr;
}

bool PeerMemory::read(int peer, const void* from, int64_t bytes, void* to) const {
  const pid_t process = processes_[static_cast<std::size_t>(peer)];
  for (int64_t done = 0; done < bytes;) {
    const auto left = static_cast<std::size_t>(bytes - done);
    const iovec here{static_cast<std::byte*>(to) + done, left};
    const iovec there{const_cast<std::byte*>(static_cast<const std::byte*>(from)) + done, left};
    const ssize_t count = process_vm_readv(process, &here, 1, &there, 1, 0);
    if (count == 0 || (count < 0 && errno != EINTR)) {
      return false;
    }
    done += std::max<ssize_t>(count, 0);
  }
  return true;
}

}  // namespace longship
