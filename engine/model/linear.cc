#include "engine/model/linear.h"

#include <utility>

namespace longship {

namespace {

// Columns in a group of a dimension that is never cut.
constexpr int64_t kPlainGroup = 256;

}  // namespace

Linear::Linear(ParamTable& params, Workspace& workspace, ParamSpec weight, std::optional<ParamSpec> bias)
    : weight_(params.declare(std::move(weight))) {
  if (bias) {
    bias_ = params.declare(std::move(*bias));
  }
  const ParamSpec& spec = weight_->spec;
  const int64_t columns = spec.global[1];
  if (!spec.shard.contracts) {
    const auto groups = static_cast<int32_t>((columns + kPlainGroup - 1) / kPlainGroup);
    steps_ = ReductionTree(groups, {0, groups}).steps(0, kPlainGroup, columns);
    return;
  }
  const Segment& cut = spec.shard.segments.front();
  tree_ = ReductionTree(static_cast<int32_t>(cut.units()), unit_bounds(spec, params.tp()));
  steps_ = tree_.steps(params.tp_rank(), cut.unit, columns);
  const int64_t outputs = workspace.limits().rows * spec.global[0];
  workspace.declare(Slot::kNodes, tree_.node_count(params.tp_rank()) * outputs);
  workspace.declare(Slot::kReduced, outputs);
}

void Linear::forward(const Tensor& x, const Tensor& residual, Tensor& y, RankContext& ctx) const {
  const Tensor none;
  const Tensor& bias = bias_ != nullptr ? bias_->values : none;
  const int64_t rows = x.dim(0);
  const int64_t outputs = weight_->local[0];
  if (!weight_->spec.shard.contracts) {
    Tensor root = y.reshape({1, rows, outputs});
    ctx.ops.linear(x, weight_->parts, steps_, root, ctx.stream);
    if (bias_ != nullptr || !residual.empty()) {
      ctx.ops.add(y, bias, residual, y, ctx.stream);
    }
    return;
  }
  Tensor nodes = ctx.workspace.take(Slot::kNodes, {tree_.node_count(ctx.tp.rank()), rows, outputs});
  Tensor root = ctx.workspace.take(Slot::kReduced, {rows, outputs});
  ctx.ops.linear(x, weight_->parts, steps_, nodes, ctx.stream);
  ctx.tp.tree_reduce(nodes, tree_, root, ctx.stream);
  ctx.ops.add(root, bias, residual, y, ctx.stream);
}

}  // namespace longship
