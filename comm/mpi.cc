#include <mpi.h>
#include <sched.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "comm/group_of_one.h"
#include "comm/hosts_communicator.h"
#include "comm/launched.h"
#include "comm/mpi_communicator.h"
#include "comm/mpi_control.h"
#include "comm/mpi_native.h"
#include "comm/mpi_try.h"
#include "comm/shm_communicator.h"
#include "comm/transport.h"

namespace longship {

namespace {

int rank_in(MPI_Comm comm) {
  int rank = 0;
  MPI_TRY(MPI_Comm_rank(comm, &rank));
  return rank;
}

int size_of(MPI_Comm comm) {
  int size = 0;
  MPI_TRY(MPI_Comm_size(comm, &size));
  return size;
}

/// MPI between its initialisation and its end.
class MpiLibrary {
 public:
  explicit MpiLibrary(const MpiJob& job) : job_(job) {
    int provided = MPI_THREAD_SINGLE;
    MPI_TRY(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided));
    MPI_TRY(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
    if (provided < MPI_THREAD_FUNNELED) {
      throw Error(ErrorKind::kRank, "this MPI library cannot run beside other threads",
                  "Use one built with MPI_THREAD_FUNNELED.");
    }
  }
  /// Ending MPI waits for every rank, so a job that has lost one ends without.
  ~MpiLibrary() {
    if (!job_.broken) {
      MPI_Finalize();
    }
  }
  MpiLibrary(const MpiLibrary&) = delete;
  MpiLibrary& operator=(const MpiLibrary&) = delete;

 private:
  const MpiJob& job_;
};

Error not_one_job() {
  return Error(
      ErrorKind::kRank,
      "the launcher started " + std::to_string(ranks_of_launcher()) + " processes that do not form one MPI job",
      "Under Slurm use srun --mpi=pmix; else use the mpirun of the MPI library that longship was built with.");
}

/// What this rank knows of the hosts of the job.
struct Hosts {
  std::vector<int> host_of;  ///< By rank. A host is named by its lowest rank.
  bool crowded = false;      ///< This host has more ranks than cores that they may use.
};

int cores_of_all(MPI_Comm host) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  sched_getaffinity(0, sizeof cores, &cores);
  MPI_TRY(MPI_Allreduce(MPI_IN_PLACE, &cores, sizeof cores, MPI_BYTE, MPI_BOR, host));
  return CPU_COUNT(&cores);
}

Hosts find_hosts() {
  const int rank = rank_in(MPI_COMM_WORLD);
  MPI_Comm host = MPI_COMM_NULL;
  MPI_TRY(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &host));
  int lowest = rank;
  MPI_TRY(MPI_Bcast(&lowest, 1, MPI_INT, 0, host));
  Hosts hosts{.host_of = std::vector<int>(static_cast<std::size_t>(size_of(MPI_COMM_WORLD)))};
  hosts.crowded = size_of(host) > cores_of_all(host);
  MPI_TRY(MPI_Comm_free(&host));
  MPI_TRY(MPI_Allgather(&lowest, 1, MPI_INT, hosts.host_of.data(), 1, MPI_INT, MPI_COMM_WORLD));
  return hosts;
}

Hosts divided(Hosts hosts, int ranks_per_host) {
  for (std::size_t rank = 0; ranks_per_host > 0 && rank < hosts.host_of.size(); ++rank) {
    hosts.host_of[rank] = static_cast<int>(rank) / ranks_per_host * ranks_per_host;
  }
  return hosts;
}

Error cannot_share_memory() {
  return Error(ErrorKind::kRank, "ranks that exchange data cannot share memory: they are on different hosts or apart",
               "Use --comm auto or --comm mpi.");
}

/// What all transports of this process share.
struct MpiProcess {
  explicit MpiProcess(const TransportOptions& options) : job{options.deadline, options.reads_peers}, library(job) {}

  MpiJob job;
  MpiLibrary library;
};

class MpiTransport final : public Transport {
 public:
  explicit MpiTransport(const TransportOptions& options)
      : process_(std::make_shared<MpiProcess>(options)),
        job_(process_->job),
        wire_(options.wire),
        format_(options.format),
        may_choose_(options.format == WireFormat::kF32 && options.ranks_per_host == 0) {
    if (size_of(MPI_COMM_WORLD) == 1 && ranks_of_launcher() > 1) {
      throw not_one_job();
    }
    control_ = std::make_unique<MpiControl>(job_);
    hosts_ = divided(find_hosts(), options.ranks_per_host);
    hang_doorbells();
    job_.spins = hosts_.crowded ? 0 : Backoff::kUsualSpins;
  }
  /// All ranks of `whole` together: of its first `count` ranks, or of the others.
  MpiTransport(const MpiTransport& whole, int count)
      : process_(whole.process_),
        job_(process_->job),
        wire_(whole.wire_),
        format_(whole.format_),
        may_choose_(whole.may_choose_),
        control_(
            std::make_unique<MpiControl>(job_, whole.control_->port(), whole.rank() < count ? 0 : 1, whole.rank())),
        hosts_(whole.hosts_) {
    hang_doorbells();
  }

  std::string_view name() const override { return "mpi"; }
  int rank() const override { return control_->port().rank(); }
  int size() const override { return control_->port().size(); }
  std::vector<int> ranks_per_host() const override {
    std::vector<int> counts(hosts_.host_of.size());
    for (int other = 0; other < size(); ++other) {
      ++counts[static_cast<std::size_t>(host_of(other))];
    }
    std::erase(counts, 0);
    return counts;
  }
  HostPlace host_place() const override {
    HostPlace place{.index = 0, .count = 0};
    for (int other = 0; other < size(); ++other) {
      if (host_of(other) == host_of(rank())) {
        place.index += other < rank() ? 1 : 0;
        ++place.count;
      }
    }
    return place;
  }

  std::unique_ptr<Transport> first(int count) override {
    control_->agree(nullptr, "meeting to part");
    auto part = std::make_unique<MpiTransport>(*this, count);
    return rank() < count ? std::move(part) : nullptr;
  }

  std::unique_ptr<Communicator> split(int color, int key) override {
    std::unique_ptr<MpiPort> port = new_port(color, key);
    if (port->size() == 1) {
      return std::make_unique<GroupOfOne>();
    }
    if (wire_ == Wire::kMpi) {
      return by_messages(std::move(port), format_);
    }
    if (std::unique_ptr<Communicator> group = through_memory(port)) {
      return group;
    }
    if (wire_ == Wire::kShm) {
      throw cannot_share_memory();
    }
    const HostBounds bounds = bounds_of_hosts(*port);
    return bounds.empty() ? by_messages(std::move(port), format_) : over_hosts(std::move(port), bounds, may_choose_);
  }

  // Shared memory where all ranks can or host by host, the messages of this project, and MPI's own operations.
  std::vector<NamedCommunicator> alternatives() override {
    std::vector<NamedCommunicator> ways;
    if (size() == 1) {
      ways.push_back({"self", std::make_unique<GroupOfOne>()});
      return ways;
    }
    std::unique_ptr<MpiPort> port = new_port(0, rank());
    if (std::unique_ptr<Communicator> group = through_memory(port)) {
      ways.push_back({"shm", std::move(group)});
      port = new_port(0, rank());
    }
    if (const HostBounds bounds = bounds_of_hosts(*port); !bounds.empty()) {
      ways.push_back({"hosts", over_hosts(std::move(port), bounds, false)});
      port = new_port(0, rank());
    }
    ways.push_back({"mpi", by_messages(std::move(port), format_)});
    ways.push_back({"mpi_native", make_mpi_native()});
    return ways;
  }

  ControlChannel& control() override { return *control_; }
  void abort(int exit_code) override { MPI_Abort(MPI_COMM_WORLD, exit_code); }

 private:
  // For the ranks of this transport alone: another's frames would wake them for nothing.
  void hang_doorbells() {
    if (size() > 1) {
      const MpiPort& all = control_->port();
      control_->hang_doorbells(host_of(all.job_rank(all.rank())), host_of(all.job_rank(0)));
    }
  }

  std::unique_ptr<MpiPort> new_port(int color, int key) {
    // MPI's own split has no deadline, so everyone is known to be there first.
    control_->agree(nullptr, "meeting to split");
    return std::make_unique<MpiPort>(job_, &control_->port(), color, key);
  }

  // Null, and the port as it was, where the ranks cannot all share memory.
  std::unique_ptr<Communicator> through_memory(std::unique_ptr<MpiPort>& port) {
    return on_one_host(*port) ? ShmCommunicator::make(job_, port) : nullptr;
  }

  bool on_one_host(const MpiPort& port) const {
    for (int rank = 1; rank < port.size(); ++rank) {
      if (host_of(port.job_rank(rank)) != host_of(port.job_rank(0))) {
        return false;
      }
    }
    return true;
  }
  // Where the ranks of each host begin; empty where no two stand together, or hosts take turns.
  HostBounds bounds_of_hosts(const MpiPort& port) const {
    HostBounds bounds;
    std::set<int> seen;
    for (int rank = 0; rank < port.size(); ++rank) {
      const int host = host_of(port.job_rank(rank));
      if (rank > 0 && host == host_of(port.job_rank(rank - 1))) {
        continue;
      }
      if (!seen.insert(host).second) {
        return {};
      }
      bounds.push_back(rank);
    }
    bounds.push_back(port.size());
    const bool together = static_cast<int>(seen.size()) < port.size() && seen.size() > 1;
    return together ? bounds : HostBounds{};
  }

  // Shared memory on each host, messages between hosts; straight where that is faster, if `measured`.
  std::unique_ptr<Communicator> over_hosts(std::unique_ptr<MpiPort> port, const HostBounds& bounds, bool measured) {
    const int rank = port->rank();
    const auto host = static_cast<int>(std::ranges::upper_bound(bounds, rank) - bounds.begin()) - 1;
    const int place = rank - bounds[static_cast<std::size_t>(host)];
    HostsCommunicator::Ways ways;
    ways.host = on_host(std::make_unique<MpiPort>(job_, port.get(), host, place));
    auto lane = std::make_unique<MpiPort>(job_, port.get(), place, host);
    if (place < HostsCommunicator::lanes(bounds)) {
      ways.lane = by_messages(std::move(lane), format_);
    }
    ways.all = by_messages(std::move(port), WireFormat::kF32);
    auto group = std::make_unique<HostsCommunicator>(std::move(ways), bounds);
    if (measured) {
      group->choose_size();
    }
    return group;
  }

  std::unique_ptr<Communicator> by_messages(std::unique_ptr<MpiPort> port, WireFormat format) {
    BetweenHosts between{.format = format, .link = {}};
    if (!on_one_host(*port)) {
      between.link = measure_link(*port);
    }
    return std::make_unique<MpiCommunicator>(job_, std::move(port), between);
  }

  std::unique_ptr<Communicator> on_host(std::unique_ptr<MpiPort> port) {
    if (port->size() == 1) {
      return std::make_unique<GroupOfOne>();
    }
    std::unique_ptr<Communicator> group = ShmCommunicator::make(job_, port);
    return group != nullptr ? std::move(group) : std::make_unique<MpiCommunicator>(job_, std::move(port));
  }

  int host_of(int job_rank) const { return hosts_.host_of[static_cast<std::size_t>(job_rank)]; }

  std::shared_ptr<MpiProcess> process_;
  MpiJob& job_;
  Wire wire_;
  WireFormat format_;
  bool may_choose_;  ///< By time, how sums over several hosts go: any way gives the same bits, and hosts are real.
  std::unique_ptr<MpiControl> control_;
  Hosts hosts_;
};

}  // namespace

void check_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) {
    return;
  }
  std::string text(MPI_MAX_ERROR_STRING, '\0');
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  text.resize(static_cast<std::size_t>(length));
  throw Error(ErrorKind::kRank, "MPI failed in " + std::string(call) + ": " + text,
              "Check that every rank still runs and that the hosts can reach each other.");
}

Wire wire_of(std::string_view name) {
  if (name == "auto") return Wire::kAuto;
  if (name == "shm") return Wire::kShm;
  if (name == "mpi") return Wire::kMpi;
  throw Error(ErrorKind::kUsage, "there is no transport \"" + std::string(name) + "\"", "Use --comm auto, shm or mpi.");
}

std::string mpi_library_version() {
  std::string text(MPI_MAX_LIBRARY_VERSION_STRING, '\0');
  int length = 0;
  MPI_Get_library_version(text.data(), &length);  // may be called at any time
  text.resize(static_cast<std::size_t>(length));
  return text.substr(0, text.find_first_of("\n,"));
}

std::unique_ptr<Transport> make_mpi_transport(const TransportOptions& options) {
#ifdef OPEN_MPI
  constexpr bool kOnlyPmix = true;
#else
  constexpr bool kOnlyPmix = false;
#endif
  if (launched_without_pmi(kOnlyPmix)) {
    throw not_one_job();
  }
  return std::make_unique<MpiTransport>(options);
}

}  // namespace longship
