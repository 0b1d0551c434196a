#include "engine/model/linear.h"

#include <utility>

namespace longship {

Linear::Linear(ParamTable& params, Workspace& workspace, ParamSpec weight, std::optional<ParamSpec> bias)
    : weight_(params.declare(std::move(weight))) {
  if (bias) {
    bias_ = params.declare(std::move(*bias));
  }
  const ParamSpec& spec = weight_->spec;
  const int64_t columns = spec.global[1];
  if (!spec.shard.contracts) {
    steps_ = whole_columns(columns);
    return;
  }
  const Segment& cut = spec.shard.segments.front();
  tree_ = ReductionTree(static_cast<int32_t>(cut.units()), unit_bounds(spec, params.tp()));
  steps_ = tree_.steps(params.tp_rank(), cut.unit, columns);
  const int64_t outputs = workspace.limits().rows * spec.global[0];
  workspace.declare(Slot::kNodes, tree_.node_count(params.tp_rank()) * outputs);
  if (tree_.ranks() > 1) {
    workspace.declare(Slot::kReduced, outputs);
  }
}

const Tensor& Linear::bias() const {
  static const Tensor kNone;
  return bias_ != nullptr ? bias_->values : kNone;
}

void Linear::adapt(ParamTable& params, Workspace& workspace, const Adapter& adapter,
                   std::span<const std::string> modules) {
  const std::size_t segments = weight_->spec.shard.segments.size();
  LONGSHIP_CHECK(modules.size() == segments || modules.size() == 1, "a module for each segment, or one for all");
  const std::size_t each = segments / modules.size();
  for (std::size_t i = 0; i < modules.size(); ++i) {
    if (updates_.size() == i) {
      updates_.emplace_back(i * each, each);
    }
    updates_[i].add(params, workspace, adapter.find(modules[i]), product());
  }
}

void Linear::add_adapted(const Tensor& x, Tensor& y, const AdaptedRows& adapted, RankContext& ctx) const {
  for (const LowRankUpdate& update : updates_) {
    if (update.is_changed_by(adapted.adapters)) {
      update.add_to(y, x, adapted.groups, product(), ctx);
    }
  }
}

void Linear::forward(const Tensor& x, Tensor& y, const AdaptedRows& adapted, RankContext& ctx) const {
  Tensor root = y.reshape({1, x.dim(0), rows()});
  ctx.ops.linear(x, weight_->parts, steps_, root, ctx.stream);
  if (bias_ != nullptr) {
    ctx.ops.add(y, bias(), {}, y, ctx.stream);
  }
  add_adapted(x, y, adapted, ctx);
}

void Linear::forward_gated(const Tensor& x, Tensor& y, std::span<const Weight> readers, const AdaptedRows& adapted,
                           RankContext& ctx) const {
  Tensor gate_up = ctx.workspace.take(Slot::kGateUp, {x.dim(0), rows()});
  if (bias_ == nullptr && adapted.empty()) {
    ctx.ops.linear_silu_mul(x, weight_->parts, steps_, gate_up, y, readers, ctx.stream);
    return;
  }
  forward(x, gate_up, adapted, ctx);
  ctx.ops.silu_mul(gate_up, y, ctx.stream);
}

void Linear::forward_into(Tensor& hidden, Tensor& normed, const NextNorm& next, const Tensor& x,
                          const AdaptedRows& adapted, RankContext& ctx) const {
  Tensor nodes = ctx.workspace.take(Slot::kNodes, {tree_.node_count(ctx.tp.rank()), x.dim(0), rows()});
  // A rank that has the whole tree has its root.
  Tensor root = tree_.ranks() == 1 ? nodes.reshape(hidden.shape()) : ctx.workspace.take(Slot::kReduced, hidden.shape());
  ctx.ops.linear(x, weight_->parts, steps_, nodes, ctx.stream);
  if (next.norm == nullptr || !adapted.empty()) {
    ctx.tp.tree_reduce(nodes, tree_, root, ctx.stream);
    add_adapted(x, root, adapted, ctx);
    ctx.ops.add(root, bias(), hidden, hidden, ctx.stream);
    if (next.norm != nullptr) {
      next.norm->forward(hidden, normed, ctx);
    }
    return;
  }
  const AddNorm then = next.norm->after_sum(bias(), hidden, normed);
  ctx.tp.tree_reduce_add_norm(
      nodes, tree_, root, then, [&](Range rows) { ctx.ops.add_norm(root, rows, then, next.readers, ctx.stream); },
      ctx.stream);
}

}  // namespace longship
