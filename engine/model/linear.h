#pragma once

#include <optional>
#include <span>
#include <vector>

#include "core/reduction_tree.h"
#include "engine/model/norm.h"
#include "engine/model/param_table.h"
#include "engine/model/rank_context.h"

namespace longship {

/// y = x W^T + bias. Where the weight's columns are cut (its spec contracts), each rank adds up the nodes that it owns
/// and the tp group reduces them; the bias comes once, after the root.
class Linear {
 public:
  /// `bias` is of the same rows, cut alike, or replicated if the weight contracts.
  Linear(ParamTable& params, Workspace& workspace, ParamSpec weight, std::optional<ParamSpec> bias);

  int64_t rows() const { return weight_->local[0]; }
  std::span<const Weight> weights() const { return weight_->parts; }
  /// x [T, K], y [T, N]; of a weight that does not contract.
  void forward(const Tensor& x, Tensor& y, RankContext& ctx) const;
  /// y [T, N / 2] = silu(g) * u of x W^T + bias = [g | u]; of a weight that does not contract. `readers`: the weights
  /// that multiply y next, before it changes.
  void forward_gated(const Tensor& x, Tensor& y, std::span<const Weight> readers, RankContext& ctx) const;
  /// hidden [T, N] += y, then normed [T, N] = the norm that is next, if any; of a weight that contracts. x [T, columns
  /// of this rank]; normed may be what x was computed from. Collective over tp.
  void forward_into(Tensor& hidden, Tensor& normed, const NextNorm& next, const Tensor& x, RankContext& ctx) const;

 private:
  const Tensor& bias() const;

  Param* weight_;
  Param* bias_ = nullptr;
  ReductionTree tree_;
  std::vector<GroupStep> steps_;
};

}  // namespace longship
