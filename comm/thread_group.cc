#include "comm/thread_group.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

namespace longship {

namespace {

constexpr std::size_t kMessagesUnderWay = 16;

void copy(const std::byte* from, int64_t bytes, std::byte* to) {
  if (bytes != 0) {
    std::memcpy(to, from, static_cast<std::size_t>(bytes));
  }
}

}  // namespace

ThreadGroup::ThreadGroup(ThreadJob& job, std::vector<int> ranks)
    : job_(job), ranks_(std::move(ranks)), seats_(ranks_.size()), messages_(ranks_.size() * ranks_.size()) {}

void ThreadGroup::arrive(int rank, std::string_view operation) {
  std::atomic<uint64_t>& mine = seat(rank).arrivals;
  const uint64_t turn = mine.load(std::memory_order_relaxed) + 1;
  mine.store(turn, std::memory_order_release);
  ThreadWait wait(job_, operation);
  for (int peer = 0; peer < size(); ++peer) {
    while (seat(peer).arrivals.load(std::memory_order_acquire) < turn) {
      wait.pause(job_rank(peer));
    }
  }
}

std::shared_ptr<ThreadGroup> ThreadGroup::split(int rank, int color, int key, int& place) {
  seat(rank).color = color;
  seat(rank).key = key;
  arrive(rank, "split with");
  std::vector<int> members;
  for (int peer = 0; peer < size(); ++peer) {
    if (seat(peer).color == color) {
      members.push_back(peer);
    }
  }
  std::ranges::stable_sort(members, {}, [&](int peer) { return seat(peer).key; });
  place = static_cast<int>(std::ranges::find(members, rank) - members.begin());
  if (place == 0) {
    std::vector<int> ranks;
    std::ranges::transform(members, std::back_inserter(ranks), [&](int peer) { return job_rank(peer); });
    seat(rank).group = std::make_shared<ThreadGroup>(job_, std::move(ranks));
  }
  arrive(rank, "split with");
  std::shared_ptr<ThreadGroup> group = seat(members.front()).group;
  arrive(rank, "split with");
  seat(rank).group.reset();
  return group;
}

void ThreadCommunicator::meet(std::string_view operation, const Tensor& input, Tensor& output) {
  group_->seat(rank_).input = input.data<std::byte>();
  group_->seat(rank_).output = output.data<std::byte>();
  group_->arrive(rank_, operation);
}

void ThreadCommunicator::tree_reduce(const Tensor& nodes, const ReductionTree& tree, Tensor& out, Stream& /*stream*/) {
  constexpr std::string_view kOperation = "tree_reduce with";
  const int64_t count = out.elements();
  LONGSHIP_CHECK(tree.ranks() == size() && nodes.elements() == tree.node_count(rank_) * count,
                 "tree_reduce needs this rank's nodes, each of the shape of the output");
  meet(kOperation, nodes, out);
  const int64_t begin = part_begin(count, size(), rank_);
  const int64_t end = part_begin(count, size(), rank_ + 1);
  nodes_.clear();
  for (int rank = 0; rank < size(); ++rank) {
    for (int node = 0; node < tree.node_count(rank); ++node) {
      nodes_.push_back(reinterpret_cast<const float*>(input(rank)) + node * count + begin);
    }
  }
  if (begin < end) {
    float* mine = output(rank_) + begin;
    sum_.add(tree, nodes_, end - begin, mine);
    for (int rank = 0; rank < size(); ++rank) {
      if (rank != rank_) {
        std::copy_n(mine, end - begin, output(rank) + begin);
      }
    }
  }
  leave(kOperation);
}

void ThreadCommunicator::all_reduce(Tensor& x, Stream& /*stream*/) {
  constexpr std::string_view kOperation = "all_reduce with";
  meet(kOperation, x, x);
  // One rank reads and writes each part of everybody's tensor.
  const int64_t end = part_begin(x.elements(), size(), rank_ + 1);
  for (int64_t i = part_begin(x.elements(), size(), rank_); i < end; ++i) {
    float sum = output(0)[i];
    for (int rank = 1; rank < size(); ++rank) {
      sum += output(rank)[i];
    }
    for (int rank = 0; rank < size(); ++rank) {
      output(rank)[i] = sum;
    }
  }
  leave(kOperation);
}

void ThreadCommunicator::copy_parts(DType dtype, std::span<const int64_t> counts, Tensor& out) const {
  std::byte* to = out.data<std::byte>();
  for (int rank = 0; rank < size(); ++rank) {
    const int64_t bytes = bytes_of(dtype, counts[static_cast<std::size_t>(rank)]);
    copy(input(rank), bytes, to);
    to += bytes;
  }
}

void ThreadCommunicator::all_gather(const Tensor& part, std::span<const int64_t> counts, Tensor& out,
                                    Stream& /*stream*/) {
  constexpr std::string_view kOperation = "all_gather with";
  meet(kOperation, part, out);
  copy_parts(part.dtype(), counts, out);
  leave(kOperation);
}

void ThreadCommunicator::gather(const Tensor& part, std::span<const int64_t> counts, int root, Tensor& out,
                                Stream& /*stream*/) {
  constexpr std::string_view kOperation = "gather with";
  meet(kOperation, part, out);
  if (rank_ == root) {
    copy_parts(part.dtype(), counts, out);
  }
  leave(kOperation);
}

void ThreadCommunicator::reduce_scatter(const Tensor& x, std::span<const int64_t> counts, Tensor& part,
                                        Stream& /*stream*/) {
  constexpr std::string_view kOperation = "reduce_scatter with";
  meet(kOperation, x, part);
  const int64_t begin = std::accumulate(counts.begin(), counts.begin() + rank_, int64_t{0});
  const std::span<float> sums = part.values<float>();
  std::ranges::fill(sums, 0.0F);
  for (int rank = 0; rank < size(); ++rank) {
    const float* from = reinterpret_cast<const float*>(input(rank)) + begin;
    for (std::size_t i = 0; i < sums.size(); ++i) {
      sums[i] += from[i];
    }
  }
  leave(kOperation);
}

void ThreadCommunicator::broadcast(Tensor& x, int root, Stream& /*stream*/) {
  constexpr std::string_view kOperation = "broadcast with";
  meet(kOperation, x, x);
  if (rank_ != root) {
    copy(input(root), x.bytes(), x.data<std::byte>());
  }
  leave(kOperation);
}

void ThreadCommunicator::send(const Tensor& x, int to, Stream& /*stream*/) {
  FrameQueue& messages = group_->messages(rank_, to);
  ThreadWait wait(group_->job(), "send to");
  while (messages.size() >= kMessagesUnderWay) {
    wait.pause(group_->job_rank(to));
  }
  const auto* begin = x.data<std::byte>();
  messages.push(Bytes(begin, begin + x.bytes()));
}

void ThreadCommunicator::recv(Tensor& x, int from, Stream& /*stream*/) {
  FrameQueue& messages = group_->messages(from, rank_);
  ThreadWait wait(group_->job(), "recv from");
  while (messages.size() == 0) {
    wait.pause(group_->job_rank(from));
  }
  const std::optional<Bytes> message = messages.try_pop();
  LONGSHIP_CHECK(static_cast<int64_t>(message->size()) == x.bytes(),
                 "a message has the size that its receiver expects");
  copy(message->data(), x.bytes(), x.data<std::byte>());
}

}  // namespace longship
