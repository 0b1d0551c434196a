#include <mpi.h>

#include <algorithm>
#include <string>
#include <utility>

#include "comm/group_of_one.h"
#include "comm/launched.h"
#include "comm/mpi_communicator.h"
#include "comm/mpi_control.h"
#include "comm/mpi_try.h"
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

// A host is named by its lowest rank.
std::vector<int> count_ranks_per_host() {
  const int rank = rank_in(MPI_COMM_WORLD);
  MPI_Comm host = MPI_COMM_NULL;
  MPI_TRY(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &host));
  int lowest = rank;
  MPI_TRY(MPI_Bcast(&lowest, 1, MPI_INT, 0, host));
  MPI_TRY(MPI_Comm_free(&host));
  std::vector<int> hosts(static_cast<std::size_t>(size_of(MPI_COMM_WORLD)));
  MPI_TRY(MPI_Allgather(&lowest, 1, MPI_INT, hosts.data(), 1, MPI_INT, MPI_COMM_WORLD));
  std::vector<int> counts(hosts.size());
  for (const int name : hosts) {
    ++counts[static_cast<std::size_t>(name)];
  }
  std::erase(counts, 0);
  return counts;
}

class MpiTransport final : public Transport {
 public:
  explicit MpiTransport(const TransportOptions& options) : job_{options.deadline}, library_(job_) {
    if (size_of(MPI_COMM_WORLD) == 1 && ranks_of_launcher() > 1) {
      throw not_one_job();
    }
    control_ = std::make_unique<MpiControl>(job_);
    ranks_per_host_ = count_ranks_per_host();
  }

  std::string_view name() const override { return "mpi"; }
  int rank() const override { return control_->port().rank(); }
  int size() const override { return control_->port().size(); }
  std::vector<int> ranks_per_host() const override { return ranks_per_host_; }

  std::unique_ptr<Communicator> split(int color, int key) override {
    // MPI's own split has no deadline, so everyone is known to be there first.
    control_->agree(nullptr, "meeting to split");
    auto group = std::make_unique<MpiCommunicator>(job_, control_->port(), color, key);
    if (group->size() == 1) {
      return std::make_unique<GroupOfOne>();
    }
    return group;
  }

  ControlChannel& control() override { return *control_; }
  void abort(int exit_code) override { MPI_Abort(MPI_COMM_WORLD, exit_code); }

 private:
  MpiJob job_;
  MpiLibrary library_;
  std::unique_ptr<MpiControl> control_;
  std::vector<int> ranks_per_host_;
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
