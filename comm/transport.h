#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "comm/communicator.h"
#include "comm/control.h"
#include "comm/wire_format.h"

namespace longship {

/// A communicator and what people call that which it moves data over.
struct NamedCommunicator {
  std::string name;
  std::unique_ptr<Communicator> group;
};

/// A rank among those of its host, by their order.
struct HostPlace {
  int index = 0;
  int count = 1;
};

/// Every rank's way to the others. One object a rank; it outlives the communicators made from it.
class Transport {
 public:
  virtual ~Transport() = default;

  virtual std::string_view name() const = 0;  ///< "self", "threads" or "mpi".
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Rank 0, which speaks for the job.
  bool leads() const { return rank() == 0; }
  /// Number of hosts, and the ranks on each (in order of their lowest rank).
  virtual std::vector<int> ranks_per_host() const = 0;
  virtual HostPlace host_place() const = 0;
  /// All ranks together: ranks of one color form a group, ordered by key (as MPI_Comm_split).
  virtual std::unique_ptr<Communicator> split(int color, int key) = 0;
  /// All ranks together: a transport of the first `count` ranks as a job of their own, on those; null on the others. It
  /// is gone before this one.
  virtual std::unique_ptr<Transport> first(int count) = 0;
  /// Every way to move data between all ranks, for comparisons: the transport's own, and others as they are.
  virtual std::vector<NamedCommunicator> alternatives() {
    std::vector<NamedCommunicator> ways;
    ways.push_back({std::string(name()), split(0, rank())});
    return ways;
  }
  virtual ControlChannel& control() = 0;
  /// Ends the job from this rank after a failure that others cannot know of: every rank stops waiting.
  virtual void abort(int exit_code) = 0;
};

/// What ranks that a launcher started use between them.
enum class Wire : uint8_t {
  kAuto,  ///< Shared memory where all ranks of a group can, else MPI.
  kShm,   ///< Shared memory: a group for which that is impossible is an error.
  kMpi,   ///< Messages of MPI.
};

/// Errors: kUsage for another name than "auto", "shm" and "mpi".
Wire wire_of(std::string_view name);

struct TransportOptions {
  /// Longest wait for a peer inside one operation. A lost process is noticed earlier, by the launcher.
  std::chrono::milliseconds deadline = std::chrono::seconds(300);
  Wire wire = Wire::kAuto;
  /// Of sums that travel between hosts, and of all that go as messages with Wire::kMpi.
  WireFormat format = WireFormat::kF32;
  /// Takes every so many ranks, in order, for a host of their own, to try layouts of hosts on one; 0: as they are.
  int ranks_per_host = 0;
  /// Ranks of a host may copy from one process to another at once, where the system lets them.
  bool reads_peers = true;
};

/// A job of one rank.
std::unique_ptr<Transport> make_self_transport();

/// Runs `body` as `ranks` threads of this process, each with its own transport, and waits for all. A rank that
/// throws makes every wait of the others throw; the first exception is thrown again here.
void run_thread_ranks(int ranks, const std::function<void(Transport&)>& body, const TransportOptions& options = {});

/// The MPI library that this program runs with, in one line of its own words.
std::string mpi_library_version();

/// Whether a launcher (mpirun, srun) started this process as a rank, from its environment.
bool launched_as_rank();

/// MPI_Init_thread(MPI_THREAD_FUNNELED) on the calling thread, which then makes all MPI calls; the destructor
/// finalises. Once in a process. Errors: kRank, e.g. when srun made N single ranks (remedy: --mpi=pmix).
std::unique_ptr<Transport> make_mpi_transport(const TransportOptions& options = {});

}  // namespace longship
