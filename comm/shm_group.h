#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "comm/mpi_port.h"
#include "comm/patience.h"
#include "comm/shared_memory.h"

namespace longship {

/// One rank's view of the memory that the ranks of a group on one host share: what each lays out for the others, a pipe
/// between each pair, and the rounds by which they keep out of each other's way.
///
/// In a round every rank may write its outgoing buffer, then arrives, then may read the buffers of ranks that have
/// arrived. Buffers take turns: a rank that begins round n knows that all others have arrived in round n - 1, so none
/// still reads what it wrote in round n - 2, the last to use the same buffer.
class ShmGroup {
 public:
  static constexpr int64_t kBufferBytes = int64_t{1} << 20;

  /// Bytes from one rank to another, written and read as a ring. Counters only grow.
  struct Pipe {
    alignas(128) std::atomic<uint64_t> written = 0;
    alignas(128) std::atomic<uint64_t> read = 0;
  };

  /// All ranks of `port` together; it outlives the group. Nothing, on every rank, if one of them cannot share memory
  /// with the others.
  static std::unique_ptr<ShmGroup> make(MpiJob& job, MpiPort& port);

  int rank() const { return port_.rank(); }
  int size() const { return port_.size(); }
  MpiJob& job() const { return job_; }

  /// `operation` reads well before "rank 2: ...".
  void begin_round(std::string_view operation);
  /// This rank's buffer of the round, between begin_round() and arrive().
  std::byte* outgoing() const { return buffer(rank()); }
  void arrive();
  /// What `peer` wrote in this round; waits until it has arrived. Valid until the next begin_round().
  const std::byte* incoming(int peer, std::string_view operation);

  Pipe& pipe(int from, int to) const;
  std::byte* pipe_data(int from, int to) const;
  int64_t pipe_bytes() const { return pipe_bytes_; }

  /// Waits until `ready()`, for `peer`. Lets what this rank has sent progress meanwhile. Errors: kRank at the deadline.
  template <class Ready>
  void wait_until(const Ready& ready, int peer, std::string_view operation) {
    if (!ready()) {
      Patience patience(operation, job_.deadline, Backoff(kAwake, kLongestNap, job_.spins));
      while (!ready()) {
        pause(patience, peer);
      }
    }
  }

 private:
  static constexpr std::chrono::microseconds kAwake{2000};
  static constexpr std::chrono::microseconds kLongestNap{200};

  struct Flag {
    alignas(128) std::atomic<uint64_t> round = 0;
  };

  ShmGroup(MpiJob& job, MpiPort& port, SharedMemory memory);

  std::byte* buffer(int rank) const;
  void wait_for(int peer, uint64_t round, std::string_view operation);
  void pause(Patience& patience, int peer);

  MpiJob& job_;
  MpiPort& port_;
  SharedMemory memory_;
  int64_t pipe_bytes_;
  Flag* flags_ = nullptr;
  Pipe* pipes_ = nullptr;
  std::byte* buffers_ = nullptr;
  std::byte* pipe_data_ = nullptr;
  uint64_t round_ = 0;
  std::vector<uint64_t> seen_;  ///< The latest round in which each rank is known to have arrived.
  unsigned pauses_ = 0;
};

}  // namespace longship
