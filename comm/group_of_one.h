#pragma once

#include "comm/communicator.h"

namespace longship {

/// A group of one rank: every collective is the identity.
class GroupOfOne final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::string_view wire() const override { return "self"; }
  void tree_reduce(const Tensor& nodes, const ReductionTree& tree, Tensor& out, Stream& stream) override;
  void all_reduce(Tensor& /*x*/, Stream& /*stream*/) override {}
  void all_gather(const Tensor& part, std::span<const int64_t> counts, Tensor& out, Stream& stream) override;
  void gather(const Tensor& part, std::span<const int64_t> counts, int root, Tensor& out, Stream& stream) override;
  void reduce_scatter(const Tensor& x, std::span<const int64_t> counts, Tensor& part, Stream& stream) override;
  void broadcast(Tensor& /*x*/, int /*root*/, Stream& /*stream*/) override {}
  /// There is no other rank: a broken invariant.
  void send(const Tensor& x, int to, Stream& stream) override;
  void recv(Tensor& x, int from, Stream& stream) override;
  void progress() override {}
};

}  // namespace longship
