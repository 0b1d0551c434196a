#include "engine/model/attention.h"

#include <cmath>

#include "engine/model/specs.h"
#include "parallel/groups.h"

namespace longship {

namespace {

// Rows of q, k and v: query heads by groups, key/value heads after their readers.
ParamSpec qkv_spec(const ModelConfig& config, const AttentionNames& names, const std::string& suffix) {
  const int64_t dh = config.head_dim;
  const int64_t total = config.query_width() + 2 * config.kv_width();
  Segment q{.source = names.q + suffix,
            .extent = config.query_width(),
            .unit = heads_per_group(dh, config.block_quantised) * dh,
            .row_order = config.rotary_rows,
            .row_unit = dh,
            .transposed = names.transposed && suffix == ".weight"};
  Segment k = q;
  k.source = (names.fused ? names.q : names.k) + suffix;
  k.extent = config.kv_width();
  k.unit = dh;
  k.replicable = true;
  Segment v = k;
  v.source = (names.fused ? names.q : names.v) + suffix;
  v.row_order = RowOrder::kAsStored;
  if (names.fused) {
    k.source_begin = config.query_width();
    v.source_begin = k.source_begin + config.kv_width();
    q.source_extent = k.source_extent = v.source_extent = total;
  }
  const Shape shape = suffix == ".weight" ? Shape{total, config.width} : Shape{total};
  return {
      .name = q.source, .dtypes = {}, .global = shape, .shard = {.dim = 0, .contracts = false, .segments = {q, k, v}}};
}

std::optional<ParamSpec> qkv_bias(const ModelConfig& config, const AttentionNames& names) {
  return config.qkv_bias ? std::optional(qkv_spec(config, names, ".bias")) : std::nullopt;
}

ParamSpec out_spec(const ModelConfig& config, const AttentionNames& names) {
  const Segment columns{.source = names.out + ".weight",
                        .extent = config.query_width(),
                        .unit = heads_per_group(config.head_dim, config.block_quantised) * config.head_dim,
                        .transposed = names.transposed};
  return {.name = columns.source,
          .dtypes = {},
          .global = {config.width, config.query_width()},
          .shard = {.dim = 1, .contracts = true, .segments = {columns}}};
}

std::optional<ParamSpec> out_bias(const ModelConfig& config, const AttentionNames& names) {
  return config.attention_output_bias ? std::optional(replicated_vector(names.out + ".bias", config.width))
                                      : std::nullopt;
}

}  // namespace

Attention::Attention(ParamTable& params, Workspace& workspace, const ModelConfig& config, int64_t layer,
                     const AttentionNames& names)
    : head_dim_(config.head_dim),
      norm_eps_(static_cast<float>(config.norm_eps)),
      rotary_(!config.learned_positions),
      qkv_(params, workspace, qkv_spec(config, names, ".weight"), qkv_bias(config, names)),
      out_(params, workspace, out_spec(config, names), out_bias(config, names)) {
  const std::vector<Slice> owned = slices(qkv_spec(config, names, ".weight"), params.tp(), params.tp_rank());
  heads_ = owned[0].global.size() / head_dim_;
  kv_heads_ = owned[1].global.size() / head_dim_;
  const int64_t first_head = owned[0].global.begin / head_dim_;
  const int64_t first_kv_head = owned[1].global.begin / head_dim_;
  for (int64_t head = first_head; head < first_head + heads_; ++head) {
    spec_.kv_head.push_back(static_cast<int32_t>(head * config.kv_heads / config.heads - first_kv_head));
  }
  spec_.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim_)));
  spec_.window = config.windows[static_cast<std::size_t>(layer)];
  if (config.qk_norm) {
    q_norm_ = params.declare(replicated_vector(names.q_norm + ".weight", head_dim_));
    k_norm_ = params.declare(replicated_vector(names.k_norm + ".weight", head_dim_));
  }
  workspace.declare(Slot::kProjected, workspace.limits().rows * qkv_.rows());
  workspace.declare(Slot::kAttended, workspace.limits().rows * heads_ * head_dim_);
}

void Attention::adapt(ParamTable& params, Workspace& workspace, const Adapter& adapter, const AttentionNames& names) {
  const std::vector<std::string> rows =
      names.fused ? std::vector<std::string>{names.q} : std::vector<std::string>{names.q, names.k, names.v};
  qkv_.adapt(params, workspace, adapter, rows);
  out_.adapt(params, workspace, adapter, {&names.out, 1});
}

void Attention::forward(Tensor& normed, Tensor& hidden, const NextNorm& next, const Batch& batch,
                        const RotaryAngles& angles, KvLayer& kv, RankContext& ctx) const {
  const int64_t rows = normed.dim(0);
  Tensor projected = ctx.workspace.take(Slot::kProjected, {rows, qkv_.rows()});
  Tensor attended = ctx.workspace.take(Slot::kAttended, {rows, heads_ * head_dim_});
  qkv_.forward(normed, projected, batch.adapted, ctx);
  const HeadsView q{projected, 0, heads_, head_dim_};
  const HeadsView k{projected, heads_ * head_dim_, kv_heads_, head_dim_};
  const HeadsView v{projected, (heads_ + kv_heads_) * head_dim_, kv_heads_, head_dim_};
  if (q_norm_ != nullptr) {
    ctx.ops.rms_norm_heads(q, q_norm_->values, norm_eps_, ctx.stream);
    ctx.ops.rms_norm_heads(k, k_norm_->values, norm_eps_, ctx.stream);
  }
  if (rotary_) {
    ctx.ops.rope_kv_write(q, k, v, angles.cos, angles.sin, batch, kv, ctx.stream);
  } else {
    ctx.ops.kv_write(k, v, batch, kv, ctx.stream);
  }
  ctx.ops.attention(q, kv, batch, spec_, attended, ctx.stream);
  out_.forward_into(hidden, normed, next, attended, batch.adapted, ctx);
}

}  // namespace longship
