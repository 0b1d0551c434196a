#include "comm/mpi_native.h"

#include <mpi.h>

#include <algorithm>
#include <vector>

#include "comm/mpi_try.h"
#include "core/error.h"

namespace longship {

namespace {

class MpiNative final : public Communicator {
 public:
  MpiNative() {
    MPI_TRY(MPI_Comm_dup(MPI_COMM_WORLD, &comm_));
    MPI_TRY(MPI_Comm_rank(comm_, &rank_));
    MPI_TRY(MPI_Comm_size(comm_, &size_));
  }
  ~MpiNative() override { MPI_Comm_free(&comm_); }
  MpiNative(const MpiNative&) = delete;
  MpiNative& operator=(const MpiNative&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string_view wire() const override { return "mpi_native"; }

  void all_reduce(Tensor& x, Stream& /*stream*/) override {
    MPI_TRY(MPI_Allreduce(MPI_IN_PLACE, x.data<float>(), count_of(x), MPI_FLOAT, MPI_SUM, comm_));
  }

  void all_gather(const Tensor& part, std::span<const int64_t> counts, Tensor& out, Stream& /*stream*/) override {
    if (take_counts(counts)) {
      MPI_TRY(MPI_Allgather(part.data<std::byte>(), count_of(part), MPI_FLOAT, out.data<std::byte>(), counts_[0],
                            MPI_FLOAT, comm_));
    } else {
      MPI_TRY(MPI_Allgatherv(part.data<std::byte>(), count_of(part), MPI_FLOAT, out.data<std::byte>(), counts_.data(),
                             begins_.data(), MPI_FLOAT, comm_));
    }
  }

  void reduce_scatter(const Tensor& x, std::span<const int64_t> counts, Tensor& part, Stream& /*stream*/) override {
    const auto* from = x.data<float>();
    if (take_counts(counts)) {
      MPI_TRY(MPI_Reduce_scatter_block(from, part.data<float>(), counts_[0], MPI_FLOAT, MPI_SUM, comm_));
    } else {
      MPI_TRY(MPI_Reduce_scatter(from, part.data<float>(), counts_.data(), MPI_FLOAT, MPI_SUM, comm_));
    }
  }

  // The tensor stays as it is until the next recv().
  void send(const Tensor& x, int to, Stream& /*stream*/) override {
    MPI_TRY(MPI_Isend(x.data<std::byte>(), count_of(x), MPI_FLOAT, to, 0, comm_,
                      &under_way_.emplace_back(MPI_REQUEST_NULL)));
  }

  void recv(Tensor& x, int from, Stream& /*stream*/) override {
    MPI_TRY(MPI_Irecv(x.data<std::byte>(), count_of(x), MPI_FLOAT, from, 0, comm_,
                      &under_way_.emplace_back(MPI_REQUEST_NULL)));
    MPI_TRY(MPI_Waitall(static_cast<int>(under_way_.size()), under_way_.data(), MPI_STATUSES_IGNORE));
    under_way_.clear();
  }

  void progress() override {}

  // MPI has no tree of its callers': one node a rank, in an order of its choice.
  void tree_reduce(const Tensor& nodes, const ReductionTree& tree, Tensor& out, Stream& /*stream*/) override {
    LONGSHIP_CHECK(tree.node_count(rank_) == 1, "MPI adds up one node a rank");
    MPI_TRY(MPI_Allreduce(nodes.data<float>(), out.data<float>(), count_of(out), MPI_FLOAT, MPI_SUM, comm_));
  }

  // Nobody compares these.
  void gather(const Tensor&, std::span<const int64_t>, int, Tensor&, Stream&) override { not_compared(); }
  void broadcast(Tensor&, int, Stream&) override { not_compared(); }

 private:
  static void not_compared() { LONGSHIP_CHECK(false, "MPI's own operation is not compared"); }

  static int count_of(const Tensor& x) {
    LONGSHIP_CHECK(x.dtype() == DType::kF32 || x.empty(), "MPI's own operations are compared in f32");
    return static_cast<int>(x.elements());
  }

  // True if all ranks have equally many.
  bool take_counts(std::span<const int64_t> counts) {
    counts_.assign(counts.begin(), counts.end());
    begins_.resize(counts_.size());
    int begin = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      begins_[i] = begin;
      begin += counts_[i];
    }
    return std::ranges::all_of(counts_, [&](int count) { return count == counts_[0]; });
  }

  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 0;
  std::vector<int> counts_;
  std::vector<int> begins_;
  std::vector<MPI_Request> under_way_;
};

}  // namespace

std::unique_ptr<Communicator> make_mpi_native() {
  return std::make_unique<MpiNative>();
}

}  // namespace longship
