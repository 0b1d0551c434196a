#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/reduction_tree.h"
#include "engine/model/low_rank.h"
#include "engine/model/norm.h"
#include "engine/model/param_table.h"
#include "engine/model/rank_context.h"

namespace longship {

/// y = x W^T + bias. Where the weight's columns are cut (its spec contracts), each rank adds up the nodes that it owns
/// and the tp group reduces them; the bias comes once, after the root. Rows whose sequences have an adapter get what
/// it adds; what the others get does not depend on it.
class Linear {
 public:
  /// `bias` is of the same rows, cut alike, or replicated if the weight contracts.
  Linear(ParamTable& params, Workspace& workspace, ParamSpec weight, std::optional<ParamSpec> bias);

  /// Makes room for what one adapter more adds, the next of Batch::adapted. `modules`: what the adapter calls the
  /// segments of the weight, or all of it, in the order of the rows.
  void adapt(ParamTable& params, Workspace& workspace, const Adapter& adapter, std::span<const std::string> modules);

  int64_t rows() const { return weight_->local[0]; }
  std::span<const Weight> weights() const { return weight_->parts; }
  /// x [T, K], y [T, N]; of a weight that does not contract.
  void forward(const Tensor& x, Tensor& y, const AdaptedRows& adapted, RankContext& ctx) const;
  /// y [T, N / 2] = silu(g) * u of x W^T + bias = [g | u]; of a weight that does not contract. `readers`: the weights
  /// that multiply y next, before it changes.
  void forward_gated(const Tensor& x, Tensor& y, std::span<const Weight> readers, const AdaptedRows& adapted,
                     RankContext& ctx) const;
  /// hidden [T, N] += y, then normed [T, N] = the norm that is next, if any; of a weight that contracts. x [T, columns
  /// of this rank]; normed may be what x was computed from. Collective over tp.
  void forward_into(Tensor& hidden, Tensor& normed, const NextNorm& next, const Tensor& x, const AdaptedRows& adapted,
                    RankContext& ctx) const;

 private:
  const Tensor& bias() const;
  AdaptedProduct product() const { return {weight_->spec, tree_, steps_}; }
  void add_adapted(const Tensor& x, Tensor& y, const AdaptedRows& adapted, RankContext& ctx) const;

  Param* weight_;
  Param* bias_ = nullptr;
  ReductionTree tree_;
  std::vector<GroupStep> steps_;
  std::vector<LowRankUpdate> updates_;  ///< For each module; none without adapters.
};

}  // namespace longship
