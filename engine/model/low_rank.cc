#include "engine/model/low_rank.h"

#include <algorithm>

namespace longship {

namespace {

// Columns in a group of a dimension that is never cut.
constexpr int64_t kPlainGroup = 256;

ParamSpec inner_spec(const AdaptedModule& module, const ParamSpec& product) {
  ParamSpec spec{.name = module.a,
                 .dtypes = {},
                 .global = {module.rank, product.global[1]},
                 .shard = {.dim = -1, .contracts = false, .segments = {{.source = module.a, .extent = module.rank}}}};
  if (product.shard.contracts) {
    const Segment& cut = product.shard.segments.front();
    spec.shard = {
        .dim = 1, .contracts = true, .segments = {{.source = module.a, .extent = cut.extent, .unit = cut.unit}}};
  }
  return spec;
}

// The rows of this rank, whichever they are: nothing of it is left to cut.
ParamSpec outer_spec(const AdaptedModule& module, const ParamSpec& product, std::span<const Slice> owned) {
  int64_t all = 0;
  int64_t mine = 0;
  ParamSpec spec{
      .name = module.b, .dtypes = {}, .global = {}, .shard = {.dim = -1, .contracts = false, .segments = {}}};
  for (const Slice& slice : owned) {
    const int64_t extent = product.shard.contracts ? product.global[0] : product.shard.segments[slice.segment].extent;
    const Range rows = product.shard.contracts ? Range{0, extent} : slice.global;
    spec.shard.segments.push_back({.source = module.b, .extent = rows.size(), .source_begin = all + rows.begin});
    all += extent;
    mine += rows.size();
  }
  for (Segment& segment : spec.shard.segments) {
    segment.source_extent = all;
  }
  spec.global = {mine, module.rank};
  return spec;
}

}  // namespace

std::vector<GroupStep> whole_columns(int64_t columns) {
  const auto groups = static_cast<int32_t>((columns + kPlainGroup - 1) / kPlainGroup);
  return ReductionTree(groups, {0, groups}).steps(0, kPlainGroup, columns);
}

LowRankUpdate::LowRankUpdate(ParamTable& params, Workspace& workspace, const AdaptedModule& module,
                             const AdaptedProduct& product, std::size_t first, std::size_t count)
    : a_(params.declare(inner_spec(module, product.spec))),
      scale_(module.scale),
      outer_steps_(whole_columns(module.rank)) {
  const std::vector<Slice> all = slices(product.spec, params.tp(), params.tp_rank());
  const std::span<const Slice> owned = std::span(all).subspan(first, count);
  b_ = params.declare(outer_spec(module, product.spec, owned));
  column_ = product.spec.shard.contracts ? 0 : owned.front().local_begin;
  const int64_t rows = workspace.limits().rows;
  const int64_t nodes = product.spec.shard.contracts ? product.tree.node_count(params.tp_rank()) : 1;
  workspace.declare(Slot::kAdaptedRows, rows);
  workspace.declare(Slot::kAdaptedInput, rows * a_->local[1]);
  workspace.declare(Slot::kAdapterNodes, rows * nodes * module.rank);
  workspace.declare(Slot::kAdapterInner, rows * module.rank);
  workspace.declare(Slot::kAdapterDelta, rows * b_->local[0]);
}

// A x, on every rank.
Tensor LowRankUpdate::inner(const Tensor& x, const AdaptedProduct& product, RankContext& ctx) const {
  const Shape shape = {x.dim(0), a_->local[0]};
  const bool cut = product.spec.shard.contracts;
  const int64_t count = cut ? product.tree.node_count(ctx.tp.rank()) : 1;
  Tensor nodes = ctx.workspace.take(Slot::kAdapterNodes, {count, shape[0], shape[1]});
  ctx.ops.linear(x, a_->parts, product.steps, nodes, ctx.stream);
  if (!cut || product.tree.ranks() == 1) {
    return nodes.reshape(shape);
  }
  Tensor root = ctx.workspace.take(Slot::kAdapterInner, shape);
  ctx.tp.tree_reduce(nodes, product.tree, root, ctx.stream);
  return root;
}

void LowRankUpdate::add_to(Tensor& y, const Tensor& x, const Tensor& rows, const AdaptedProduct& product,
                           RankContext& ctx) const {
  const Tensor reduced = inner(x, product, ctx);
  Tensor delta = ctx.workspace.take(Slot::kAdapterDelta, {1, x.dim(0), b_->local[0]});
  ctx.ops.linear(reduced, b_->parts, outer_steps_, delta, ctx.stream);
  ctx.ops.add_to_rows(delta.reshape({x.dim(0), b_->local[0]}), scale_, rows, column_, y, ctx.stream);
}

}  // namespace longship
