#include "engine/model/feed_forward.h"

#include "engine/model/specs.h"
#include "parallel/groups.h"

namespace longship {

namespace {

ParamSpec up_spec(const ModelConfig& config, const FeedForwardNames& names, int64_t unit, const std::string& suffix) {
  const bool matrix = suffix == ".weight";
  std::vector<Segment> segments;
  if (config.gated_ffn) {
    segments.push_back(
        {.source = names.gate + suffix, .extent = config.ffn, .unit = unit, .transposed = names.transposed && matrix});
  }
  segments.push_back(
      {.source = names.up + suffix, .extent = config.ffn, .unit = unit, .transposed = names.transposed && matrix});
  const int64_t rows = static_cast<int64_t>(segments.size()) * config.ffn;
  return {.name = names.up + suffix,
          .dtypes = {},
          .global = matrix ? Shape{rows, config.width} : Shape{rows},
          .shard = {.dim = 0, .contracts = false, .segments = segments}};
}

ParamSpec down_spec(const ModelConfig& config, const FeedForwardNames& names, int64_t unit) {
  return {
      .name = names.down + ".weight",
      .dtypes = {},
      .global = {config.width, config.ffn},
      .shard = {
          .dim = 1,
          .contracts = true,
          .segments = {
              {.source = names.down + ".weight", .extent = config.ffn, .unit = unit, .transposed = names.transposed}}}};
}

Shape down_shape(const ModelConfig& config, const FeedForwardNames& names) {
  return names.transposed ? Shape{config.ffn, config.width} : Shape{config.width, config.ffn};
}

}  // namespace

FeedForward::FeedForward(ParamTable& params, Workspace& workspace, const ModelConfig& config,
                         const FeedForwardNames& names)
    : gated_(config.gated_ffn),
      group_columns_(
          ffn_group_columns(config.ffn, params.stored_dtype(names.down + ".weight", down_shape(config, names)))),
      up_(params, workspace, up_spec(config, names, group_columns_, ".weight"),
          config.ffn_bias ? std::optional(up_spec(config, names, group_columns_, ".bias")) : std::nullopt),
      down_(params, workspace, down_spec(config, names, group_columns_),
            config.ffn_bias ? std::optional(replicated_vector(names.down + ".bias", config.width)) : std::nullopt) {
  workspace.declare(Slot::kGateUp, workspace.limits().rows * up_.rows());
  if (gated_) {
    workspace.declare(Slot::kActivated, workspace.limits().rows * up_.rows() / 2);
  }
}

void FeedForward::adapt(ParamTable& params, Workspace& workspace, const Adapter& adapter,
                        const FeedForwardNames& names) {
  const std::vector<std::string> rows =
      gated_ ? std::vector<std::string>{names.gate, names.up} : std::vector<std::string>{names.up};
  up_.adapt(params, workspace, adapter, rows);
  down_.adapt(params, workspace, adapter, {&names.down, 1});
}

void FeedForward::forward(Tensor& normed, Tensor& hidden, const NextNorm& next, const Batch& batch,
                          RankContext& ctx) const {
  const int64_t rows = normed.dim(0);
  if (gated_) {
    Tensor activated = ctx.workspace.take(Slot::kActivated, {rows, up_.rows() / 2});
    up_.forward_gated(normed, activated, down_.weights(), batch.adapted, ctx);
    down_.forward_into(hidden, normed, next, activated, batch.adapted, ctx);
  } else {
    Tensor up = ctx.workspace.take(Slot::kGateUp, {rows, up_.rows()});
    up_.forward(normed, up, batch.adapted, ctx);
    ctx.ops.gelu_tanh(up, up, ctx.stream);
    down_.forward_into(hidden, normed, next, up, batch.adapted, ctx);
  }
}

}  // namespace longship
