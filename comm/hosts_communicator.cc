#include "comm/hosts_communicator.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <utility>

#include "comm/tree_sum.h"

namespace longship {

namespace {

// Ranks [first, last) of the tree's ranks, of whose groups only those in [begin, end) count, as a tree of its own.
ReductionTree subtree(const ReductionTree& tree, ReductionTree::Node node, int first, int last) {
  std::vector<int32_t> bounds;
  for (int rank = first; rank <= last; ++rank) {
    bounds.push_back(std::clamp(tree.first_group(rank), node.begin, node.end) - node.begin);
  }
  return ReductionTree(node.end - node.begin, std::move(bounds));
}

Tensor wrap(std::vector<float>& memory, Shape shape) {
  memory.resize(static_cast<std::size_t>(element_count(shape)));
  return Tensor::wrap(DType::kF32, std::move(shape), memory.data());
}

}  // namespace

int HostsCommunicator::lanes(const HostBounds& bounds) {
  int least = bounds[1] - bounds[0];
  for (std::size_t host = 1; host + 1 < bounds.size(); ++host) {
    least = std::min(least, bounds[host + 1] - bounds[host]);
  }
  return least;
}

HostsCommunicator::HostsCommunicator(Ways ways, HostBounds bounds)
    : ways_(std::move(ways)),
      bounds_(std::move(bounds)),
      host_(static_cast<int>(std::ranges::upper_bound(bounds_, ways_.all->rank()) - bounds_.begin()) - 1),
      ranks_tree_(tree_of_ranks(ways_.all->size())) {
  LONGSHIP_CHECK(bounds_.back() == size() && ways_.host->rank() == rank() - bounds_[static_cast<std::size_t>(host_)],
                 "the ranks of a group stand host after host");
}

HostsCommunicator::Division HostsCommunicator::divide(const ReductionTree& tree) const {
  std::vector<int32_t> first_groups;
  for (const int first : bounds_) {
    first_groups.push_back(tree.first_group(first));
  }
  Division division{.whole = tree, .hosts = ReductionTree(tree.groups(), std::move(first_groups)), .inside = {}};
  const auto first_rank = static_cast<std::size_t>(host_);
  for (int i = division.hosts.first_node(host_); i < division.hosts.first_node(host_ + 1); ++i) {
    division.inside.push_back(subtree(tree, division.hosts.nodes()[static_cast<std::size_t>(i)], bounds_[first_rank],
                                      bounds_[first_rank + 1]));
  }
  return division;
}

const HostsCommunicator::Division& HostsCommunicator::division_of(const ReductionTree& tree) {
  const auto found = std::ranges::find(divisions_, tree, &Division::whole);
  return found != divisions_.end() ? *found : divisions_.emplace_back(divide(tree));
}

// sums [nodes of this host, count]
void HostsCommunicator::reduce_inside(const Division& division, const Tensor& nodes, Tensor& sums, Stream& stream) {
  int64_t begin = 0;
  for (std::size_t i = 0; i < division.inside.size(); ++i) {
    const ReductionTree& tree = division.inside[i];
    const int64_t end = begin + tree.node_count(ways_.host->rank());
    Tensor sum = sums.slice(static_cast<int64_t>(i), static_cast<int64_t>(i) + 1).reshape({sums.dim(1)});
    ways_.host->tree_reduce(nodes.slice(begin, end), tree, sum, stream);
    begin = end;
  }
}

// The part of this rank's lane of every node, added up over hosts, then gathered from all lanes.
void HostsCommunicator::reduce_between(const Division& division, const Tensor& sums, Tensor& out, Stream& stream) {
  const int64_t count = sums.dim(1);
  const int lane_count = lanes(bounds_);
  lane_counts_.assign(static_cast<std::size_t>(ways_.host->size()), 0);
  for (int lane = 0; lane < lane_count; ++lane) {
    lane_counts_[static_cast<std::size_t>(lane)] =
        part_begin(count, lane_count, lane + 1) - part_begin(count, lane_count, lane);
  }
  const int mine = ways_.host->rank();
  Tensor part = wrap(lane_sum_, {lane_counts_[static_cast<std::size_t>(mine)]});
  if (mine < lane_count) {
    const int64_t begin = part_begin(count, lane_count, mine);
    Tensor nodes = wrap(lane_nodes_, {sums.dim(0), part.dim(0)});
    for (int64_t node = 0; node < sums.dim(0); ++node) {
      std::copy_n(sums.data<float>() + node * count + begin, part.dim(0), nodes.data<float>() + node * part.dim(0));
    }
    ways_.lane->tree_reduce(nodes, division.hosts, part, stream);
  }
  Tensor flat = out.reshape({count});
  ways_.host->all_gather(part, lane_counts_, flat, stream);
}

double HostsCommunicator::quickest_us(int64_t count, bool by_hosts) {
  using Clock = std::chrono::steady_clock;
  constexpr int kRounds = 5;
  std::vector<float> mine(static_cast<std::size_t>(count));
  std::vector<float> sum(static_cast<std::size_t>(count));
  const Tensor nodes = Tensor::wrap(DType::kF32, {1, count}, mine.data());
  Tensor out = Tensor::wrap(DType::kF32, {count}, sum.data());
  Stream stream;
  double least_us = std::numeric_limits<double>::max();
  for (int round = 0; round < kRounds; ++round) {
    const auto begin = Clock::now();
    if (by_hosts) {
      reduce_by_hosts(nodes, ranks_tree_, out, stream);
    } else {
      ways_.all->tree_reduce(nodes, ranks_tree_, out, stream);
    }
    const std::chrono::duration<double, std::micro> taken = Clock::now() - begin;
    least_us = std::min(least_us, taken.count());
  }
  return least_us;
}

void HostsCommunicator::choose_size() {
  constexpr std::array<int64_t, 3> kCounts = {1024, 8192, 65536};
  float smaller = 0;  // of the sizes above, those for which straight is faster
  for (std::size_t i = 0; i < kCounts.size(); ++i) {
    if (quickest_us(kCounts[i], false) < quickest_us(kCounts[i], true)) {
      smaller = static_cast<float>(i + 1);
    }
  }
  Tensor told = Tensor::wrap(DType::kF32, {1}, &smaller);
  Stream stream;
  ways_.all->broadcast(told, 0, stream);
  const auto first = static_cast<std::size_t>(smaller);
  least_count_ = first == 0 ? 0 : first < kCounts.size() ? kCounts[first] : std::numeric_limits<int64_t>::max();
}

void HostsCommunicator::tree_reduce(const Tensor& nodes, const ReductionTree& tree, Tensor& out, Stream& stream) {
  LONGSHIP_CHECK(tree.ranks() == size() && nodes.elements() == tree.node_count(rank()) * out.elements(),
                 "tree_reduce needs this rank's nodes, each of the shape of the output");
  if (out.elements() < least_count_) {
    ways_.all->tree_reduce(nodes, tree, out, stream);
  } else if (!out.empty()) {
    reduce_by_hosts(nodes, tree, out, stream);
  }
}

void HostsCommunicator::reduce_by_hosts(const Tensor& nodes, const ReductionTree& tree, Tensor& out, Stream& stream) {
  const Division& division = division_of(tree);
  const int64_t count = out.elements();
  Tensor sums = wrap(sums_, {static_cast<int64_t>(division.inside.size()), count});
  reduce_inside(division, nodes.reshape({tree.node_count(rank()), count}), sums, stream);
  reduce_between(division, sums, out, stream);
}

void HostsCommunicator::all_reduce(Tensor& x, Stream& stream) {
  own_.assign(x.values<float>().begin(), x.values<float>().end());
  tree_reduce(Tensor::wrap(DType::kF32, {1, x.elements()}, own_.data()), ranks_tree_, x, stream);
}

void HostsCommunicator::all_gather(const Tensor& part, std::span<const int64_t> counts, Tensor& out, Stream& stream) {
  ways_.all->all_gather(part, counts, out, stream);
}

void HostsCommunicator::gather(const Tensor& part, std::span<const int64_t> counts, int root, Tensor& out,
                               Stream& stream) {
  ways_.all->gather(part, counts, root, out, stream);
}

void HostsCommunicator::reduce_scatter(const Tensor& x, std::span<const int64_t> counts, Tensor& part, Stream& stream) {
  ways_.all->reduce_scatter(x, counts, part, stream);
}

void HostsCommunicator::broadcast(Tensor& x, int root, Stream& stream) {
  ways_.all->broadcast(x, root, stream);
}

void HostsCommunicator::send(const Tensor& x, int to, Stream& stream) {
  ways_.all->send(x, to, stream);
}

void HostsCommunicator::recv(Tensor& x, int from, Stream& stream) {
  ways_.all->recv(x, from, stream);
}

}  // namespace longship
