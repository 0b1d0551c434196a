#include "comm/coded_reduction.h"

#include <algorithm>

namespace longship {

namespace {

enum Tag : int { kNodes = 1, kSums };

}  // namespace

CodedReduction::Part CodedReduction::part_of(int rank, int64_t count) const {
  if (one_step_) {
    return {0, count};
  }
  const int64_t blocks = (count + kWireBlock - 1) / kWireBlock;
  const auto begin_of = [&](int64_t part) { return std::min(count, blocks * part / port_.size() * kWireBlock); };
  return {begin_of(rank), begin_of(rank + 1)};
}

void CodedReduction::reduce(const float* nodes, int64_t count, const ReductionTree& tree, bool one_step, float* out,
                            std::string_view operation) {
  one_step_ = one_step;
  const int64_t node_bytes = bytes(count);
  own_.resize(static_cast<std::size_t>(tree.node_count(port_.rank()) * node_bytes));
  for (int node = 0; node < tree.node_count(port_.rank()); ++node) {
    to_wire(format_, nodes + node * count, count, own_.data() + node * node_bytes);
  }
  exchange_nodes(tree, count, operation);
  const Part mine = part_of(port_.rank(), count);
  add_part(tree, count, out + mine.begin);
  exchange_sums(count, out, operation);
}

void CodedReduction::exchange_nodes(const ReductionTree& tree, int64_t count, std::string_view operation) {
  const Part mine = part_of(port_.rank(), count);
  const int64_t part_bytes = bytes(mine.end - mine.begin);
  received_.resize(static_cast<std::size_t>((tree.node_count() - tree.node_count(port_.rank())) * part_bytes));
  std::byte* to = received_.data();
  for (int peer = 0; peer < port_.size(); ++peer) {
    for (int node = 0; node < tree.node_count(peer) && peer != port_.rank() && part_bytes > 0; ++node) {
      port_.take(to, part_bytes, peer, kNodes);
      to += part_bytes;
    }
  }
  for (int step = 1; step < port_.size(); ++step) {
    const int peer = (port_.rank() + step) % port_.size();
    const Part theirs = part_of(peer, count);
    for (int node = 0; node < tree.node_count(port_.rank()) && theirs.end > theirs.begin; ++node) {
      port_.give(own_.data() + node * bytes(count) + bytes(theirs.begin), bytes(theirs.end - theirs.begin), peer,
                 kNodes);
    }
  }
  port_.finish(operation);
}

void CodedReduction::add_part(const ReductionTree& tree, int64_t count, float* sum) {
  const Part mine = part_of(port_.rank(), count);
  const int64_t size = mine.end - mine.begin;
  addends_.resize(static_cast<std::size_t>(tree.node_count() * size));
  nodes_.clear();
  const std::byte* received = received_.data();
  float* addend = addends_.data();
  for (int peer = 0; peer < port_.size(); ++peer) {
    for (int node = 0; node < tree.node_count(peer); ++node, addend += size) {
      if (peer == port_.rank()) {
        from_wire(format_, own_.data() + node * bytes(count) + bytes(mine.begin), size, addend);
      } else {
        from_wire(format_, received, size, addend);
        received += bytes(size);
      }
      nodes_.push_back(addend);
    }
  }
  sum_.add(tree, nodes_, size, sum);
}

// Rounds this rank's sums and, where the others have parts of their own, exchanges them.
void CodedReduction::exchange_sums(int64_t count, float* out, std::string_view operation) {
  sums_.resize(static_cast<std::size_t>(bytes(count)));
  const Part mine = part_of(port_.rank(), count);
  std::byte* own = sums_.data() + bytes(mine.begin);
  to_wire(format_, out + mine.begin, mine.end - mine.begin, own);
  for (int step = 1; step < port_.size() && !one_step_; ++step) {
    const int peer = (port_.rank() + step) % port_.size();
    if (const Part theirs = part_of(peer, count); theirs.end > theirs.begin) {
      port_.take(sums_.data() + bytes(theirs.begin), bytes(theirs.end - theirs.begin), peer, kSums);
    }
    if (mine.end > mine.begin) {
      port_.give(own, bytes(mine.end - mine.begin), peer, kSums);
    }
  }
  port_.finish(operation);
  from_wire(format_, sums_.data(), count, out);
}

}  // namespace longship
