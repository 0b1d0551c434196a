#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "comm/communicator.h"
#include "comm/thread_job.h"
#include "comm/tree_sum.h"

namespace longship {

/// Where the ranks of a group of threads meet: what each lays out for the others to see, and the messages
/// between each pair.
class ThreadGroup {
 public:
  struct alignas(64) Seat {
    std::atomic<uint64_t> arrivals = 0;
    // Written by the owner before it arrives, read by all until they arrive again.
    const std::byte* input = nullptr;
    std::byte* output = nullptr;
    const Bytes* failure = nullptr;
    int color = 0;
    int key = 0;
    std::shared_ptr<ThreadGroup> group;  ///< On the first rank of a color: the group it made for it.
  };

  /// `ranks`: the group's members as ranks of the job.
  ThreadGroup(ThreadJob& job, std::vector<int> ranks);

  int size() const { return static_cast<int>(ranks_.size()); }
  Seat& seat(int rank) { return seats_[static_cast<std::size_t>(rank)]; }
  int job_rank(int rank) const { return ranks_[static_cast<std::size_t>(rank)]; }
  ThreadJob& job() const { return job_; }
  FrameQueue& messages(int from, int to) { return messages_[static_cast<std::size_t>(from * size() + to)]; }

  /// Waits until every rank of the group has arrived as often as this one.
  void arrive(int rank, std::string_view operation);

  /// All ranks together: the group of this rank's color, ordered by key. Sets `place` to this rank in it.
  std::shared_ptr<ThreadGroup> split(int rank, int color, int key, int& place);

 private:
  ThreadJob& job_;
  std::vector<int> ranks_;
  std::vector<Seat> seats_;
  std::vector<FrameQueue> messages_;
};

/// One rank's end of a group of threads. Collectives read and write the tensors of the other ranks directly,
/// between two meetings.
class ThreadCommunicator final : public Communicator {
 public:
  ThreadCommunicator(std::shared_ptr<ThreadGroup> group, int rank) : group_(std::move(group)), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return group_->size(); }
  std::string_view wire() const override { return "threads"; }
  void tree_reduce(const Tensor& nodes, const ReductionTree& tree, Tensor& out, Stream& stream) override;
  void all_reduce(Tensor& x, Stream& stream) override;
  void all_gather(const Tensor& part, std::span<const int64_t> counts, Tensor& out, Stream& stream) override;
  void gather(const Tensor& part, std::span<const int64_t> counts, int root, Tensor& out, Stream& stream) override;
  void reduce_scatter(const Tensor& x, std::span<const int64_t> counts, Tensor& part, Stream& stream) override;
  void broadcast(Tensor& x, int root, Stream& stream) override;
  void send(const Tensor& x, int to, Stream& stream) override;
  void recv(Tensor& x, int from, Stream& stream) override;
  void progress() override {}

 private:
  void meet(std::string_view operation, const Tensor& input, Tensor& output);
  void leave(std::string_view operation) { group_->arrive(rank_, operation); }
  const std::byte* input(int rank) const { return group_->seat(rank).input; }
  float* output(int rank) const { return reinterpret_cast<float*>(group_->seat(rank).output); }
  void copy_parts(DType dtype, std::span<const int64_t> counts, Tensor& out) const;

  std::shared_ptr<ThreadGroup> group_;
  int rank_;
  TreeSum sum_;
  std::vector<const float*> nodes_;
};

}  // namespace longship
