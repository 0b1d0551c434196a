#pragma once

#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "comm/communicator.h"

namespace longship {

/// Where each host's ranks begin in a group whose ranks stand host after host, and at the end the size of the group.
using HostBounds = std::vector<int>;

/// One rank's end of a group whose ranks are on several hosts, some of them together. A reduction first adds up, on
/// each host, the nodes whose parent lies wholly inside it; then the hosts exchange what is left, each rank of a host
/// its part of the values ("lane"); then the parts are gathered on each host. So a sum crosses between hosts once
/// instead of once for each rank, and its order stays that of the tree. Everything else goes straight between the
/// ranks.
class HostsCommunicator final : public Communicator {
 public:
  /// Ways between the ranks.
  struct Ways {
    std::unique_ptr<Communicator> all;
    std::unique_ptr<Communicator> host;  ///< The ranks of this rank's host.
    std::unique_ptr<Communicator> lane;  ///< The ranks at this rank's place on each host; null beyond lanes().
  };

  /// Ranks of a host that exchange with other hosts: as many as the smallest host has.
  static int lanes(const HostBounds& bounds);

  HostsCommunicator(Ways ways, HostBounds bounds);

  /// Measures from which size on three steps that move little between hosts beat one that moves more, and keeps to one
  /// below; takes some ten milliseconds. Where sums cross in a short form they are the same only by the three. All
  /// ranks together.
  void choose_size();

  int rank() const override { return ways_.all->rank(); }
  int size() const override { return ways_.all->size(); }
  std::string_view wire() const override { return "hosts"; }
  void tree_reduce(const Tensor& nodes, const ReductionTree& tree, Tensor& out, Stream& stream) override;
  void all_reduce(Tensor& x, Stream& stream) override;
  void all_gather(const Tensor& part, std::span<const int64_t> counts, Tensor& out, Stream& stream) override;
  void gather(const Tensor& part, std::span<const int64_t> counts, int root, Tensor& out, Stream& stream) override;
  void reduce_scatter(const Tensor& x, std::span<const int64_t> counts, Tensor& part, Stream& stream) override;
  void broadcast(Tensor& x, int root, Stream& stream) override;
  void send(const Tensor& x, int to, Stream& stream) override;
  void recv(Tensor& x, int from, Stream& stream) override;
  void progress() override { ways_.all->progress(); }

 private:
  /// How a tree falls apart into one for each node of this host and one of all hosts' nodes.
  struct Division {
    ReductionTree whole;
    ReductionTree hosts;
    std::vector<ReductionTree> inside;
  };

  void reduce_by_hosts(const Tensor& nodes, const ReductionTree& tree, Tensor& out, Stream& stream);
  double quickest_us(int64_t count, bool by_hosts);
  const Division& division_of(const ReductionTree& tree);
  Division divide(const ReductionTree& tree) const;
  void reduce_inside(const Division& division, const Tensor& nodes, Tensor& sums, Stream& stream);
  void reduce_between(const Division& division, const Tensor& sums, Tensor& out, Stream& stream);

  Ways ways_;
  HostBounds bounds_;
  int host_ = 0;             ///< Index of this rank's host.
  int64_t least_count_ = 0;  ///< Values of a sum from which it goes by hosts.
  ReductionTree ranks_tree_;
  std::deque<Division> divisions_;  ///< One for each tree that was reduced: a model has few.
  // Kept between calls, so that a step allocates nothing.
  std::vector<float> own_;
  std::vector<float> sums_;
  std::vector<float> lane_nodes_;
  std::vector<float> lane_sum_;
  std::vector<int64_t> lane_counts_;
};

}  // namespace longship
