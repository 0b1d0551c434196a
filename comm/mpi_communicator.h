#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "comm/coded_reduction.h"
#include "comm/communicator.h"
#include "comm/link_cost.h"
#include "comm/mpi_port.h"
#include "comm/tree_sum.h"

namespace longship {

/// What is special about messages between hosts.
struct BetweenHosts {
  WireFormat format = WireFormat::kF32;  ///< Of tree_reduce().
  std::optional<LinkCost> link;          ///< Measured; nothing where the ranks are on one host.
};

/// One rank's end of a group of MPI ranks. Every collective is a set of messages straight between its ranks:
/// on a group of the size of a mesh axis that takes the fewest steps, and a late rank can be named.
class MpiCommunicator final : public Communicator {
 public:
  /// The ranks of `port` together.
  MpiCommunicator(MpiJob& job, std::unique_ptr<MpiPort> port, const BetweenHosts& between = {});

  int rank() const override { return port_->rank(); }
  int size() const override { return port_->size(); }
  std::string_view wire() const override { return "mpi"; }
  void tree_reduce(const Tensor& nodes, const ReductionTree& tree, Tensor& out, Stream& stream) override;
  void all_reduce(Tensor& x, Stream& stream) override;
  void all_gather(const Tensor& part, std::span<const int64_t> counts, Tensor& out, Stream& stream) override;
  void gather(const Tensor& part, std::span<const int64_t> counts, int root, Tensor& out, Stream& stream) override;
  void reduce_scatter(const Tensor& x, std::span<const int64_t> counts, Tensor& part, Stream& stream) override;
  void broadcast(Tensor& x, int root, Stream& stream) override;
  void send(const Tensor& x, int to, Stream& stream) override;
  void recv(Tensor& x, int from, Stream& stream) override;
  void progress() override { job_.advance(); }

 private:
  struct Part {
    int64_t begin = 0;
    int64_t count = 0;
  };
  /// The nodes of all ranks, of which each rank receives, and adds up, its part of the values.
  struct Reduction {
    const float* nodes;
    int64_t count;  ///< Values in a node.
    const ReductionTree& tree;
    std::span<const Part> parts;
  };

  bool in_one_step(const ReductionTree& tree, int64_t node_bytes) const;
  std::span<const Part> parts_of(std::span<const int64_t> counts);
  std::span<const Part> equal_parts(int64_t count);
  std::span<const Part> whole(int64_t count);
  void reduce_part(const Reduction& reduction, float* sum, std::string_view operation);
  void reduce(const float* nodes, int64_t count, const ReductionTree& tree, float* out, std::string_view operation);
  void exchange_parts(float* values, std::span<const Part> parts, std::string_view operation);
  void take(float* to, int64_t count, int from, int tag);
  void give(const float* from, int64_t count, int to, int tag);
  void give_to_all(const Tensor& x);
  void take_parts(const Tensor& part, std::span<const int64_t> counts, Tensor& out);

  MpiJob& job_;
  std::unique_ptr<MpiPort> port_;
  BetweenHosts between_;
  CodedReduction coded_;
  ReductionTree ranks_tree_;  ///< One group a rank.
  TreeSum sum_;
  // Kept between calls, so that a step allocates nothing.
  std::vector<Part> parts_;
  std::vector<float> received_;
  std::vector<float> own_;
  std::vector<const float*> nodes_;
};

}  // namespace longship
