#include "comm/cuda/nccl_communicator.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "comm/cuda/nccl_scratch.h"
#include "comm/cuda/tree_kernels.h"
#include "comm/tree_sum.h"
#include "cuda/watch.h"

namespace longship {

namespace {

constexpr auto kFloatBytes = static_cast<int64_t>(sizeof(float));
// Up to so many bytes of nodes, everyone's getting all of them beats a second step that moves less.
constexpr int64_t kMostBytesInOneStep = int64_t{1} << 16;

/// Elements of a tensor that one rank adds up or holds.
struct Part {
  int64_t begin = 0;
  int64_t count = 0;
};

cuda::StreamHandle handle_of(const Stream& stream) {
  return static_cast<cuda::StreamHandle>(stream.native());
}

std::vector<Part> parts_of(std::span<const int64_t> counts) {
  std::vector<Part> parts;
  int64_t begin = 0;
  for (const int64_t count : counts) {
    parts.push_back({begin, count});
    begin += count;
  }
  return parts;
}

std::vector<Part> equal_parts(int64_t count, int ranks) {
  std::vector<Part> parts;
  for (int rank = 0; rank < ranks; ++rank) {
    const int64_t begin = part_begin(count, ranks, rank);
    parts.push_back({begin, part_begin(count, ranks, rank + 1) - begin});
  }
  return parts;
}

class NcclCommunicator final : public Communicator, private cuda::Watch {
 public:
  NcclCommunicator(std::unique_ptr<NcclComms> comms, std::unique_ptr<Communicator> staged, const GroupTraffic& most)
      : staged_(std::move(staged)),
        comms_(std::move(comms)),
        comm_(comms_->all()),
        scratch_(comm_, static_cast<std::size_t>(most.sum_bytes)),
        sum_of_ranks_(*TreeProgram::of(tree_of_ranks(staged_->size()))) {}

  int rank() const override { return staged_->rank(); }
  int size() const override { return staged_->size(); }
  std::string_view wire() const override { return "nccl"; }
  Communicator& host() override { return staged_->host(); }
  bool is_recordable(const ReductionTree& tree) const override { return TreeProgram::of(tree).has_value(); }
  bool gathers_recordably() const override { return true; }
  bool sends_on_device() const override { return true; }

  void tree_reduce(const Tensor& nodes, const ReductionTree& tree, Tensor& out, Stream& stream) override;
  void all_reduce(Tensor& x, Stream& stream) override;
  void all_gather(const Tensor& part, std::span<const int64_t> counts, Tensor& out, Stream& stream) override;
  void gather(const Tensor& part, std::span<const int64_t> counts, int root, Tensor& out, Stream& stream) override;
  void reduce_scatter(const Tensor& x, std::span<const int64_t> counts, Tensor& part, Stream& stream) override;
  void broadcast(Tensor& x, int root, Stream& stream) override;
  void send(const Tensor& x, int to, Stream& stream) override;
  void recv(Tensor& x, int from, Stream& stream) override;
  void progress() override;

 private:
  void check(std::chrono::nanoseconds waited) override { comms_->check(latest_, waited); }

  /// Makes `calls` as one group, which go on side by side.
  void exchange(const char* operation, const std::function<void()>& calls);
  void give(const void* from, int64_t bytes, int to, const Stream& stream);
  void take(void* to, int64_t bytes, int from, const Stream& stream);
  void take_parts(const Tensor& part, std::span<const int64_t> counts, Tensor& out, const Stream& stream);
  void copy_own(const Tensor& part, std::span<const int64_t> counts, Tensor& out, const Stream& stream);
  /// The nodes of all ranks for this rank's part of the elements, added up.
  void reduce_part(const char* operation, const TreeProgram& tree, const Tensor& nodes, std::span<const Part> parts,
                   float* sum, const Stream& stream);
  void gather_parts(const char* operation, std::span<const Part> parts, float* values, const Stream& stream);

  std::unique_ptr<Communicator> staged_;
  std::unique_ptr<NcclComms> comms_;
  NcclComm& comm_;
  NcclScratch scratch_;
  TreeProgram sum_of_ranks_;
  const char* latest_ = "meeting over NCCL";  ///< What this group did last.
};

void NcclCommunicator::exchange(const char* operation, const std::function<void()>& calls) {
  latest_ = operation;
  comm_.call(operation, [&] { return comm_.api().group_start(); });
  calls();
  comm_.call(operation, [&] { return comm_.api().group_end(); });
}

void NcclCommunicator::give(const void* from, int64_t bytes, int to, const Stream& stream) {
  if (bytes != 0) {
    comm_.call(latest_, [&] {
      return comm_.api().send(from, static_cast<std::size_t>(bytes), NcclType::kInt8, to, comm_.handle(),
                              handle_of(stream));
    });
  }
}

void NcclCommunicator::take(void* to, int64_t bytes, int from, const Stream& stream) {
  if (bytes != 0) {
    comm_.call(latest_, [&] {
      return comm_.api().recv(to, static_cast<std::size_t>(bytes), NcclType::kInt8, from, comm_.handle(),
                              handle_of(stream));
    });
  }
}

void NcclCommunicator::reduce_part(const char* operation, const TreeProgram& tree, const Tensor& nodes,
                                   std::span<const Part> parts, float* sum, const Stream& stream) {
  const Part mine = parts[static_cast<std::size_t>(rank())];
  const auto nodes_of = [&](int peer) { return tree.first_node[peer + 1] - tree.first_node[peer]; };
  const int own = nodes_of(rank());
  const int64_t count = own == 0 ? 0 : nodes.elements() / own;
  float* received = scratch_.floats(static_cast<std::size_t>((tree.nodes - own) * mine.count));
  exchange(operation, [&] {
    float* to = received;
    for (int peer = 0; peer < size(); ++peer) {
      for (int node = 0; node < nodes_of(peer) && peer != rank(); ++node, to += mine.count) {
        take(to, mine.count * kFloatBytes, peer, stream);
      }
    }
    for (int step = 1; step < size(); ++step) {
      const int peer = (rank() + step) % size();
      const Part theirs = parts[static_cast<std::size_t>(peer)];
      for (int node = 0; node < own; ++node) {
        give(nodes.data<float>() + node * count + theirs.begin, theirs.count * kFloatBytes, peer, stream);
      }
    }
  });
  sum_gathered({.tree = tree,
                .rank = rank(),
                .own = nodes.data<float>() + mine.begin,
                .own_stride = count,
                .received = received,
                .count = mine.count},
               sum, handle_of(stream));
}

void NcclCommunicator::gather_parts(const char* operation, std::span<const Part> parts, float* values,
                                    const Stream& stream) {
  const Part mine = parts[static_cast<std::size_t>(rank())];
  if (std::ranges::all_of(parts, [&](const Part& part) { return part.count == mine.count; })) {
    latest_ = operation;
    comm_.call(operation, [&] {
      return comm_.api().all_gather(values + mine.begin, values, static_cast<std::size_t>(mine.count),
                                    NcclType::kFloat32, comm_.handle(), handle_of(stream));
    });
    return;
  }
  exchange(operation, [&] {
    for (int step = 1; step < size(); ++step) {
      const int peer = (rank() + step) % size();
      const Part theirs = parts[static_cast<std::size_t>(peer)];
      take(values + theirs.begin, theirs.count * kFloatBytes, peer, stream);
      give(values + mine.begin, mine.count * kFloatBytes, peer, stream);
    }
  });
}

void NcclCommunicator::tree_reduce(const Tensor& nodes, const ReductionTree& tree, Tensor& out, Stream& stream) {
  constexpr const char* kOperation = "tree_reduce";
  LONGSHIP_CHECK(tree.ranks() == size() && nodes.elements() == tree.node_count(rank()) * out.elements(),
                 "tree_reduce needs this rank's nodes, each of the shape of the output");
  const std::optional<TreeProgram> program = TreeProgram::of(tree);
  if (!program.has_value()) {
    staged_->tree_reduce(nodes, tree, out, stream);
    return;
  }
  const int64_t count = out.elements();
  if (program->nodes * count * kFloatBytes <= kMostBytesInOneStep) {
    const std::vector<Part> whole(static_cast<std::size_t>(size()), {0, count});
    reduce_part(kOperation, *program, nodes, whole, out.data<float>(), stream);
    return;
  }
  const std::vector<Part> parts = equal_parts(count, size());
  reduce_part(kOperation, *program, nodes, parts, out.data<float>() + parts[static_cast<std::size_t>(rank())].begin,
              stream);
  gather_parts(kOperation, parts, out.data<float>(), stream);
}

void NcclCommunicator::all_reduce(Tensor& x, Stream& stream) {
  latest_ = "all_reduce";
  if (!x.empty()) {
    comm_.call(latest_, [&] {
      return comm_.api().all_reduce(x.data<void>(), x.data<void>(), static_cast<std::size_t>(x.elements()),
                                    NcclType::kFloat32, NcclOp::kSum, comm_.handle(), handle_of(stream));
    });
  }
}

void NcclCommunicator::reduce_scatter(const Tensor& x, std::span<const int64_t> counts, Tensor& part, Stream& stream) {
  reduce_part("reduce_scatter", sum_of_ranks_, x, parts_of(counts), part.data<float>(), stream);
}

void NcclCommunicator::copy_own(const Tensor& part, std::span<const int64_t> counts, Tensor& out,
                                const Stream& stream) {
  const int64_t before = std::accumulate(counts.begin(), counts.begin() + rank(), int64_t{0});
  if (!part.empty()) {
    cuda::check(cuda::api().memcpy_async(out.data<std::byte>() + bytes_of(part.dtype(), before), part.data<void>(),
                                         static_cast<std::size_t>(part.bytes()), cuda::CopyKind::kDeviceToDevice,
                                         handle_of(stream)),
                latest_);
  }
}

void NcclCommunicator::take_parts(const Tensor& part, std::span<const int64_t> counts, Tensor& out,
                                  const Stream& stream) {
  auto* to = out.data<std::byte>();
  for (int peer = 0; peer < size(); ++peer) {
    const int64_t bytes = bytes_of(part.dtype(), counts[static_cast<std::size_t>(peer)]);
    if (peer != rank()) {
      take(to, bytes, peer, stream);
    }
    to += bytes;
  }
}

void NcclCommunicator::all_gather(const Tensor& part, std::span<const int64_t> counts, Tensor& out, Stream& stream) {
  if (std::ranges::all_of(counts, [&](int64_t count) { return count == part.elements(); }) && !part.empty()) {
    latest_ = "all_gather";
    comm_.call(latest_, [&] {
      return comm_.api().all_gather(part.data<void>(), out.data<void>(), static_cast<std::size_t>(part.bytes()),
                                    NcclType::kInt8, comm_.handle(), handle_of(stream));
    });
    return;
  }
  exchange("all_gather", [&] {
    for (int step = 1; step < size(); ++step) {
      give(part.data<void>(), part.bytes(), (rank() + step) % size(), stream);
    }
    take_parts(part, counts, out, stream);
  });
  copy_own(part, counts, out, stream);
}

void NcclCommunicator::gather(const Tensor& part, std::span<const int64_t> counts, int root, Tensor& out,
                              Stream& stream) {
  const bool receives = rank() == root;
  exchange("gather", [&] {
    if (receives) {
      take_parts(part, counts, out, stream);
    } else {
      give(part.data<void>(), part.bytes(), root, stream);
    }
  });
  if (receives) {
    copy_own(part, counts, out, stream);
  }
}

void NcclCommunicator::broadcast(Tensor& x, int root, Stream& stream) {
  latest_ = "broadcast";
  if (!x.empty()) {
    comm_.call(latest_, [&] {
      return comm_.api().broadcast(x.data<void>(), x.data<void>(), static_cast<std::size_t>(x.bytes()), NcclType::kInt8,
                                   root, comm_.handle(), handle_of(stream));
    });
  }
}

void NcclCommunicator::send(const Tensor& x, int to, Stream& stream) {
  NcclEdge* edge = comms_->to(to);
  if (edge == nullptr) {
    staged_->send(x, to, stream);
  } else if (!x.empty()) {
    latest_ = "send";
    edge->send(x, handle_of(stream));
  }
}

void NcclCommunicator::recv(Tensor& x, int from, Stream& stream) {
  NcclEdge* edge = comms_->from(from);
  if (edge == nullptr) {
    staged_->recv(x, from, stream);
  } else if (!x.empty()) {
    latest_ = "recv";
    edge->recv(x, handle_of(stream));
  }
}

void NcclCommunicator::progress() {
  comms_->check(latest_, std::chrono::nanoseconds(0));
  comms_->progress();
  staged_->progress();
}

}  // namespace

std::unique_ptr<Communicator> make_nccl_communicator(std::unique_ptr<NcclComms> comms,
                                                     std::unique_ptr<Communicator> staged, const GroupTraffic& most) {
  return std::make_unique<NcclCommunicator>(std::move(comms), std::move(staged), most);
}

int64_t nccl_group_bytes(int rank, int ranks, const GroupTraffic& most) {
  int64_t bytes = 0;
  if (most.sum_bytes > 0) {
    bytes += std::max<int64_t>(most.sum_bytes, NcclScratch::kLeastBytes);
  }
  if (most.message_bytes > 0) {
    bytes += static_cast<int64_t>(
        NcclEdge::memory_bytes(rank + 1 < ranks ? static_cast<std::size_t>(most.message_bytes) : 0));
  }
  return bytes;
}

}  // namespace longship
