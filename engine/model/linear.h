#pragma once

#include <optional>
#include <vector>

#include "core/reduction_tree.h"
#include "engine/model/param_table.h"
#include "engine/model/rank_context.h"

namespace longship {

/// y = x W^T + bias + residual. Where the weight's columns are cut (its spec contracts), each rank adds up the nodes
/// that it owns and the tp group reduces them; bias and residual come once, after the root.
class Linear {
 public:
  /// `bias` is of the same rows, cut alike, or replicated if the weight contracts.
  Linear(ParamTable& params, Workspace& workspace, ParamSpec weight, std::optional<ParamSpec> bias);

  int64_t rows() const { return weight_->local[0]; }
  /// x [T, columns of this rank], residual [T, N] or empty, y [T, N]; y may be the residual. Collective over tp if
  /// the weight contracts.
  void forward(const Tensor& x, const Tensor& residual, Tensor& y, RankContext& ctx) const;

 private:
  Param* weight_;
  Param* bias_ = nullptr;
  ReductionTree tree_;
  std::vector<GroupStep> steps_;
};

}  // namespace longship
