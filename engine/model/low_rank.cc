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

void LowRankUpdate::add(ParamTable& params, Workspace& workspace, const AdaptedModule* module,
                        const AdaptedProduct& product) {
  const std::vector<Slice> all = slices(product.spec, params.tp(), params.tp_rank());
  const std::span<const Slice> owned = std::span(all).subspan(first_, count_);
  if (inner_.empty()) {
    outer_.resize(count_);
    for (const Slice& slice : owned) {
      columns_.push_back(product.spec.shard.contracts ? 0 : slice.local_begin);
    }
  }
  GroupProduct& inner = inner_.emplace_back();
  for (std::vector<GroupProduct>& outer : outer_) {
    outer.emplace_back();
  }
  workspace.declare_products(1 + std::ssize(outer_));
  if (module == nullptr) {
    return;
  }
  const Param* a = params.declare(inner_spec(*module, product.spec));
  const Param* b = params.declare(outer_spec(*module, product.spec, owned));
  inner.weight = &a->parts.front();
  inner.steps = product.steps;
  const std::vector<GroupStep>& steps = outer_steps_.emplace_back(whole_columns(module->rank));
  for (std::size_t i = 0; i < count_; ++i) {
    outer_[i].back() = {.weight = &b->parts[i], .steps = steps, .scale = module->scale};
    outer_rows_ = std::max(outer_rows_, b->parts[i].rows);
  }
  rank_ = std::max(rank_, module->rank);
  const int64_t rows = workspace.limits().rows;
  const int64_t nodes = product.spec.shard.contracts ? product.tree.node_count(params.tp_rank()) : 1;
  workspace.declare(Slot::kAdapterNodes, rows * nodes * rank_);
  workspace.declare(Slot::kAdapterInner, rows * rank_);
  if (workspace.in_host_memory()) {
    workspace.declare(Slot::kGroupInput, rows * std::max(a->local[1], rank_));
    workspace.declare(Slot::kGroupOutput, rows * std::max(nodes * rank_, outer_rows_));
  }
}

bool LowRankUpdate::is_changed_by(std::span<const std::size_t> adapters) const {
  return std::ranges::any_of(adapters, [&](std::size_t adapter) { return inner_[adapter].weight != nullptr; });
}

// A x at each place, on every rank.
Tensor LowRankUpdate::inner(const Tensor& x, const RowGroups& rows, const AdaptedProduct& product,
                            RankContext& ctx) const {
  const Shape shape = {rows.places(), rank_};
  const bool cut = product.spec.shard.contracts;
  const int64_t count = cut ? product.tree.node_count(ctx.tp.rank()) : 1;
  Tensor nodes = ctx.workspace.take(Slot::kAdapterNodes, {count, shape[0], shape[1]});
  GroupRoom room = ctx.workspace.room_for_groups(rows.places() * x.dim(1), nodes.elements());
  ctx.ops.grouped_linear(x, rows, inner_, room, nodes, ctx.stream);
  if (!cut || product.tree.ranks() == 1) {
    return nodes.reshape(shape);
  }
  Tensor root = ctx.workspace.take(Slot::kAdapterInner, shape);
  ctx.tp.tree_reduce(nodes, product.tree, root, ctx.stream);
  return root;
}

void LowRankUpdate::add_to(Tensor& y, const Tensor& x, const RowGroups& rows, const AdaptedProduct& product,
                           RankContext& ctx) const {
  const Tensor reduced = inner(x, rows, product, ctx);
  GroupRoom room = ctx.workspace.room_for_groups(reduced.elements(), rows.places() * outer_rows_);
  for (std::size_t i = 0; i < count_; ++i) {
    ctx.ops.grouped_linear_add(reduced, rows, outer_[i], columns_[i], room, y, ctx.stream);
  }
}

}  // namespace longship
