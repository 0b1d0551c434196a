#include "comm/mpi_communicator.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace longship {

namespace {

// Messages of one operation come in order after those of the one before; the tags keep the kinds apart.
enum Tag : int { kPointToPoint, kNodes, kParts };

constexpr std::size_t kMessagesUnderWay = 16;

// As one_step_is_faster(), over shared memory, where it was measured: a message up to kEagerBytes costs little, a
// longer one a handshake, so that two steps pay where the parts are short and the nodes are not.
bool one_step_is_faster_on_a_host(const ReductionTree& tree, int64_t node_bytes) {
  constexpr int64_t kEagerBytes = 4000;
  constexpr int64_t kMostBytes = 65536;
  return tree.node_count() * node_bytes <= kMostBytes &&
         (node_bytes <= kEagerBytes || node_bytes / tree.ranks() > kEagerBytes);
}

}  // namespace

MpiCommunicator::MpiCommunicator(MpiJob& job, std::unique_ptr<MpiPort> port, const BetweenHosts& between)
    : job_(job),
      port_(std::move(port)),
      between_(between),
      coded_(*port_, between.format),
      ranks_tree_(tree_of_ranks(port_->size())) {}

bool MpiCommunicator::in_one_step(const ReductionTree& tree, int64_t node_bytes) const {
  return between_.link ? one_step_is_faster(*between_.link, tree, node_bytes)
                       : one_step_is_faster_on_a_host(tree, node_bytes);
}

std::span<const MpiCommunicator::Part> MpiCommunicator::parts_of(std::span<const int64_t> counts) {
  parts_.clear();
  int64_t begin = 0;
  for (const int64_t count : counts) {
    parts_.push_back({begin, count});
    begin += count;
  }
  return parts_;
}

std::span<const MpiCommunicator::Part> MpiCommunicator::equal_parts(int64_t count) {
  parts_.clear();
  for (int rank = 0; rank < size(); ++rank) {
    const int64_t begin = part_begin(count, size(), rank);
    parts_.push_back({begin, part_begin(count, size(), rank + 1) - begin});
  }
  return parts_;
}

std::span<const MpiCommunicator::Part> MpiCommunicator::whole(int64_t count) {
  parts_.assign(static_cast<std::size_t>(size()), {0, count});
  return parts_;
}

void MpiCommunicator::reduce_part(const Reduction& reduction, float* sum, std::string_view operation) {
  const auto& [nodes, count, tree, parts] = reduction;
  const Part mine = parts[static_cast<std::size_t>(rank())];
  received_.resize(static_cast<std::size_t>((tree.node_count() - tree.node_count(rank())) * mine.count));
  nodes_.clear();
  float* received = received_.data();
  for (int peer = 0; peer < size(); ++peer) {
    for (int node = 0; node < tree.node_count(peer); ++node) {
      if (peer == rank()) {
        nodes_.push_back(nodes + node * count + mine.begin);
      } else {
        take(received, mine.count, peer, kNodes);
        nodes_.push_back(received);
        received += mine.count;
      }
    }
  }
  for (int step = 1; step < size(); ++step) {
    const int peer = (rank() + step) % size();
    const Part theirs = parts[static_cast<std::size_t>(peer)];
    for (int node = 0; node < tree.node_count(rank()); ++node) {
      give(nodes + node * count + theirs.begin, theirs.count, peer, kNodes);
    }
  }
  port_->finish(operation);
  sum_.add(tree, nodes_, mine.count, sum);
}

void MpiCommunicator::exchange_parts(float* values, std::span<const Part> parts, std::string_view operation) {
  const Part mine = parts[static_cast<std::size_t>(rank())];
  for (int step = 1; step < size(); ++step) {
    const int peer = (rank() + step) % size();
    const Part theirs = parts[static_cast<std::size_t>(peer)];
    take(values + theirs.begin, theirs.count, peer, kParts);
    give(values + mine.begin, mine.count, peer, kParts);
  }
  port_->finish(operation);
}

void MpiCommunicator::reduce(const float* nodes, int64_t count, const ReductionTree& tree, float* out,
                             std::string_view operation) {
  if (in_one_step(tree, count * static_cast<int64_t>(sizeof(float)))) {
    reduce_part({nodes, count, tree, whole(count)}, out, operation);
    return;
  }
  const std::span<const Part> parts = equal_parts(count);
  reduce_part({nodes, count, tree, parts}, out + parts[static_cast<std::size_t>(rank())].begin, operation);
  exchange_parts(out, parts, operation);
}

void MpiCommunicator::tree_reduce(const Tensor& nodes, const ReductionTree& tree, Tensor& out, Stream& /*stream*/) {
  LONGSHIP_CHECK(tree.ranks() == size() && nodes.elements() == tree.node_count(rank()) * out.elements(),
                 "tree_reduce needs this rank's nodes, each of the shape of the output");
  constexpr std::string_view kOperation = "tree_reduce with";
  const int64_t count = out.elements();
  if (between_.format == WireFormat::kF32) {
    reduce(nodes.data<float>(), count, tree, out.data<float>(), kOperation);
  } else {
    const bool one_step = in_one_step(tree, wire_bytes(between_.format, count));
    coded_.reduce(nodes.data<float>(), count, tree, one_step, out.data<float>(), kOperation);
  }
}

void MpiCommunicator::all_reduce(Tensor& x, Stream& /*stream*/) {
  own_.assign(x.values<float>().begin(), x.values<float>().end());
  reduce(own_.data(), x.elements(), ranks_tree_, x.data<float>(), "all_reduce with");
}

void MpiCommunicator::reduce_scatter(const Tensor& x, std::span<const int64_t> counts, Tensor& part,
                                     Stream& /*stream*/) {
  reduce_part({x.data<float>(), x.elements(), ranks_tree_, parts_of(counts)}, part.data<float>(),
              "reduce_scatter with");
}

void MpiCommunicator::all_gather(const Tensor& part, std::span<const int64_t> counts, Tensor& out, Stream& /*stream*/) {
  give_to_all(part);
  take_parts(part, counts, out);
  port_->finish("all_gather with");
}

void MpiCommunicator::gather(const Tensor& part, std::span<const int64_t> counts, int root, Tensor& out,
                             Stream& /*stream*/) {
  if (rank() == root) {
    take_parts(part, counts, out);
  } else if (!part.empty()) {
    port_->give(part.data<std::byte>(), part.bytes(), root, kParts);
  }
  port_->finish("gather with");
}

void MpiCommunicator::broadcast(Tensor& x, int root, Stream& /*stream*/) {
  if (rank() == root) {
    give_to_all(x);
  } else if (!x.empty()) {
    port_->take(x.data<std::byte>(), x.bytes(), root, kParts);
  }
  port_->finish("broadcast with");
}

void MpiCommunicator::send(const Tensor& x, int to, Stream& /*stream*/) {
  const auto* begin = x.data<std::byte>();
  port_->send(std::make_shared<const Bytes>(begin, begin + x.bytes()), to, kPointToPoint, kMessagesUnderWay);
}

void MpiCommunicator::recv(Tensor& x, int from, Stream& /*stream*/) {
  port_->take(x.data<std::byte>(), x.bytes(), from, kPointToPoint);
  port_->finish("recv from");
}

void MpiCommunicator::take(float* to, int64_t count, int from, int tag) {
  if (count != 0) {
    port_->take(to, count * static_cast<int64_t>(sizeof(float)), from, tag);
  }
}

void MpiCommunicator::give(const float* from, int64_t count, int to, int tag) {
  if (count != 0) {
    port_->give(from, count * static_cast<int64_t>(sizeof(float)), to, tag);
  }
}

void MpiCommunicator::give_to_all(const Tensor& x) {
  for (int step = 1; step < size() && !x.empty(); ++step) {
    port_->give(x.data<std::byte>(), x.bytes(), (rank() + step) % size(), kParts);
  }
}

void MpiCommunicator::take_parts(const Tensor& part, std::span<const int64_t> counts, Tensor& out) {
  std::byte* to = out.data<std::byte>();
  for (int peer = 0; peer < size(); ++peer) {
    const int64_t bytes = bytes_of(part.dtype(), counts[static_cast<std::size_t>(peer)]);
    if (bytes == 0) {
      continue;
    }
    if (peer == rank()) {
      std::memcpy(to, part.data<std::byte>(), static_cast<std::size_t>(bytes));
    } else {
      port_->take(to, bytes, peer, kParts);
    }
    to += bytes;
  }
}

}  // namespace longship
