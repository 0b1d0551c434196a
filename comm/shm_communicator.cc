#include "comm/shm_communicator.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

namespace longship {

namespace {

constexpr auto kFloatBytes = static_cast<int64_t>(sizeof(float));
// Up to this many bytes of nodes, one round in which everyone reads all of them beats two that read parts.
constexpr int64_t kMostBytesInOneRound = 4096;
// What a rank hands out in a round of a large operation. Lines that another core has just written are slow to read, so
// pieces that leave its own cache for the one that cores share are faster than small ones (measured from 2^15 to 2^20).
constexpr int64_t kChunkBytes = int64_t{1} << 19;
static_assert(2 * kChunkBytes <= ShmGroup::kBufferBytes);

// From so many bytes on reading from a peer pays for asking the kernel: of all nodes, and of a rank's part.
constexpr int64_t kLeastToReduceAtOnce = int64_t{1} << 20;
constexpr int64_t kLeastToGatherAtOnce = int64_t{1} << 15;

void copy(const void* from, int64_t bytes, void* to) {
  if (bytes != 0) {
    std::memcpy(to, from, static_cast<std::size_t>(bytes));
  }
}

int64_t largest(std::span<const int64_t> counts) {
  return counts.empty() ? 0 : *std::ranges::max_element(counts);
}

}  // namespace

std::unique_ptr<Communicator> ShmCommunicator::make(MpiJob& job, std::unique_ptr<MpiPort>& port) {
  std::unique_ptr<ShmGroup> group = ShmGroup::make(job, *port);
  if (group == nullptr) {
    return nullptr;
  }
  std::unique_ptr<PeerMemory> peers = job.reads_peers ? PeerMemory::make(*port) : nullptr;
  return std::unique_ptr<Communicator>(new ShmCommunicator(std::move(port), std::move(group), std::move(peers)));
}

ShmCommunicator::ShmCommunicator(std::unique_ptr<MpiPort> port, std::unique_ptr<ShmGroup> group,
                                 std::unique_ptr<PeerMemory> peers)
    : port_(std::move(port)),
      group_(std::move(group)),
      single_copy_(peers == nullptr ? nullptr : std::make_unique<SingleCopy>(*group_, std::move(peers))),
      mail_(*group_),
      ranks_tree_(tree_of_ranks(port_->size())) {}

void ShmCommunicator::tree_reduce(const Tensor& nodes, const ReductionTree& tree, Tensor& out, Stream& /*stream*/) {
  LONGSHIP_CHECK(tree.ranks() == size() && nodes.elements() == tree.node_count(rank()) * out.elements(),
                 "tree_reduce needs this rank's nodes, each of the shape of the output");
  reduce({nodes.data<float>(), tree, out.elements(), out.data<float>(), "tree_reduce with"});
}

void ShmCommunicator::tree_reduce_add_norm(const Tensor& nodes, const ReductionTree& tree, Tensor& out,
                                           const AddNorm& /*then*/, const ApplyToRows& apply, Stream& /*stream*/) {
  LONGSHIP_CHECK(tree.ranks() == size() && nodes.elements() == tree.node_count(rank()) * out.elements(),
                 "tree_reduce needs this rank's nodes, each of the shape of the output");
  int64_t done = 0;
  const std::function<void(Range)> complete = [&](Range values) {
    const int64_t rows = values.end / std::max<int64_t>(1, out.dim(1));
    if (rows > done) {
      apply({done, rows});
      done = rows;
    }
  };
  reduce({nodes.data<float>(), tree, out.elements(), out.data<float>(), "tree_reduce with", &complete});
}

void ShmCommunicator::all_reduce(Tensor& x, Stream& /*stream*/) {
  reduce({x.data<float>(), ranks_tree_, x.elements(), x.data<float>(), "all_reduce with"});
}

void ShmCommunicator::reduce(const Reduction& reduction) {
  const int64_t bytes = reduction.tree.node_count() * reduction.count * kFloatBytes;
  if (bytes <= kMostBytesInOneRound) {
    reduce_in_one_round(reduction);
  } else if (copies_once(bytes, kLeastToReduceAtOnce)) {
    single_copy_->reduce(reduction);
  } else {
    reduce_in_chunks(reduction);
  }
}

void ShmCommunicator::reduce_in_one_round(const Reduction& reduction) {
  const auto& [nodes, tree, count, out, operation, complete] = reduction;
  group_->begin_round(operation);
  copy(nodes, tree.node_count(rank()) * count * kFloatBytes, group_->outgoing());
  group_->arrive();
  addends_.clear();
  for (int peer = 0; peer < size(); ++peer) {
    const auto* from = peer == rank() ? nodes : reinterpret_cast<const float*>(group_->incoming(peer, operation));
    for (int node = 0; node < tree.node_count(peer); ++node) {
      addends_.push_back(from + node * count);
    }
  }
  sum_.add(tree, addends_, count, out);
  if (complete != nullptr) {
    (*complete)({0, count});
  }
}

// In each round: nodes of one chunk, and the sums of the chunk before.
void ShmCommunicator::reduce_in_chunks(const Reduction& reduction) {
  const int64_t node_bytes = kChunkBytes / std::max(1, reduction.most_nodes());
  const int64_t longest = std::max<int64_t>(1, node_bytes / kFloatBytes);
  LONGSHIP_CHECK(longest * reduction.most_nodes() * kFloatBytes <= kChunkBytes, "a rank's nodes fit a buffer");
  Chunk before;
  Chunk chunk;
  do {
    before = chunk;
    chunk.begin = before.begin + before.count;
    chunk.count = std::min(longest, reduction.count - chunk.begin);
    hand_out(reduction, chunk, before);
    add_part(reduction, chunk);
    collect_sums(reduction, before);
    if (reduction.complete != nullptr && before.count > 0) {
      (*reduction.complete)({before.begin, before.begin + before.count});
    }
  } while (chunk.count > 0);
}

// The buffer holds the nodes of a chunk, then the sums of this rank's part of the chunk before.
void ShmCommunicator::hand_out(const Reduction& reduction, const Chunk& nodes, const Chunk& sums) {
  group_->begin_round(reduction.operation);
  auto* to = reinterpret_cast<float*>(group_->outgoing());
  const int64_t begin = part_begin(nodes.count, size(), rank());
  const int64_t end = part_begin(nodes.count, size(), rank() + 1);
  for (int node = 0; node < reduction.tree.node_count(rank()); ++node) {
    const float* from = reduction.nodes + node * reduction.count + nodes.begin;
    float* place = to + node * nodes.count;
    copy(from, begin * kFloatBytes, place);
    copy(from + end, (nodes.count - end) * kFloatBytes, place + end);
  }
  const int64_t sums_begin = part_begin(sums.count, size(), rank());
  const int64_t sums_end = part_begin(sums.count, size(), rank() + 1);
  copy(reduction.out + sums.begin + sums_begin, (sums_end - sums_begin) * kFloatBytes,
       group_->outgoing() + kChunkBytes);
  group_->arrive();
}

void ShmCommunicator::add_part(const Reduction& reduction, const Chunk& chunk) {
  const auto& [nodes, tree, count, out, operation, complete] = reduction;
  const int64_t begin = part_begin(chunk.count, size(), rank());
  const int64_t end = part_begin(chunk.count, size(), rank() + 1);
  if (begin == end) {
    return;
  }
  addends_.clear();
  for (int peer = 0; peer < size(); ++peer) {
    if (tree.node_count(peer) == 0) {
      continue;
    }
    const bool own = peer == rank();
    const auto* from = own ? nodes + chunk.begin : reinterpret_cast<const float*>(group_->incoming(peer, operation));
    for (int node = 0; node < tree.node_count(peer); ++node) {
      addends_.push_back(from + node * (own ? count : chunk.count) + begin);
    }
  }
  sum_.add(tree, addends_, end - begin, out + chunk.begin + begin);
}

void ShmCommunicator::collect_sums(const Reduction& reduction, const Chunk& chunk) {
  for (int step = 1; step < size(); ++step) {
    const int peer = (rank() + step) % size();
    const int64_t begin = part_begin(chunk.count, size(), peer);
    const int64_t end = part_begin(chunk.count, size(), peer + 1);
    if (begin != end) {
      const std::byte* sums = group_->incoming(peer, reduction.operation) + kChunkBytes;
      copy(sums, (end - begin) * kFloatBytes, reduction.out + chunk.begin + begin);
    }
  }
}

// In each round every rank hands out the next piece of what each other rank will add up.
void ShmCommunicator::reduce_scatter(const Tensor& x, std::span<const int64_t> counts, Tensor& part,
                                     Stream& /*stream*/) {
  constexpr std::string_view kOperation = "reduce_scatter with";
  const int64_t longest = kChunkBytes / kFloatBytes / size();
  const auto mine = static_cast<std::size_t>(rank());
  const float* own = x.data<float>() + std::accumulate(counts.begin(), counts.begin() + rank(), int64_t{0});
  for (int64_t begin = 0; begin < largest(counts); begin += longest) {
    group_->begin_round(kOperation);
    auto* to = reinterpret_cast<float*>(group_->outgoing());
    const float* from = x.data<float>();
    for (int peer = 0; peer < size(); ++peer) {
      const int64_t count = counts[static_cast<std::size_t>(peer)];
      if (peer != rank() && count > begin) {
        copy(from + begin, std::min(longest, count - begin) * kFloatBytes, to + peer * longest);
      }
      from += count;
    }
    group_->arrive();
    if (counts[mine] > begin) {
      addends_.clear();
      for (int peer = 0; peer < size(); ++peer) {
        addends_.push_back(peer == rank()
                               ? own + begin
                               : reinterpret_cast<const float*>(group_->incoming(peer, kOperation)) + rank() * longest);
      }
      sum_.add(ranks_tree_, addends_, std::min(longest, counts[mine] - begin), part.data<float>() + begin);
    }
  }
}

void ShmCommunicator::take_parts(const Tensor& part, std::span<const int64_t> counts, std::byte* out,
                                 std::string_view operation) {
  const int64_t bytes_of_all = bytes_of(part.dtype(), largest(counts));
  if (copies_once(bytes_of_all, kLeastToGatherAtOnce)) {
    return single_copy_->gather(part, counts, out, operation);
  }
  const int64_t own = part.bytes();
  for (int64_t begin = 0; begin < bytes_of_all; begin += kChunkBytes) {
    group_->begin_round(operation);
    copy(part.data<std::byte>() + begin, std::clamp<int64_t>(own - begin, 0, kChunkBytes), group_->outgoing());
    group_->arrive();
    std::byte* to = out;
    for (int peer = 0; peer < size() && out != nullptr; ++peer) {
      const int64_t bytes = bytes_of(part.dtype(), counts[static_cast<std::size_t>(peer)]);
      const int64_t piece = std::min(bytes - begin, kChunkBytes);
      if (piece > 0) {
        const bool mine = peer == rank();
        copy(mine ? part.data<std::byte>() + begin : group_->incoming(peer, operation), piece, to + begin);
      }
      to += bytes;
    }
  }
}

void ShmCommunicator::all_gather(const Tensor& part, std::span<const int64_t> counts, Tensor& out, Stream& /*stream*/) {
  take_parts(part, counts, out.data<std::byte>(), "all_gather with");
}

void ShmCommunicator::gather(const Tensor& part, std::span<const int64_t> counts, int root, Tensor& out,
                             Stream& /*stream*/) {
  take_parts(part, counts, rank() == root ? out.data<std::byte>() : nullptr, "gather with");
}

void ShmCommunicator::broadcast(Tensor& x, int root, Stream& /*stream*/) {
  constexpr std::string_view kOperation = "broadcast with";
  for (int64_t begin = 0; begin < x.bytes(); begin += kChunkBytes) {
    const int64_t bytes = std::min(kChunkBytes, x.bytes() - begin);
    group_->begin_round(kOperation);
    if (rank() == root) {
      copy(x.data<std::byte>() + begin, bytes, group_->outgoing());
    }
    group_->arrive();
    if (rank() != root) {
      copy(group_->incoming(root, kOperation), bytes, x.data<std::byte>() + begin);
    }
  }
}

void ShmCommunicator::send(const Tensor& x, int to, Stream& /*stream*/) {
  mail_.send(x.data<std::byte>(), x.bytes(), to);
}

void ShmCommunicator::recv(Tensor& x, int from, Stream& /*stream*/) {
  mail_.receive(x.data<std::byte>(), x.bytes(), from);
}

}  // namespace longship
