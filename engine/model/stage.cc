#include "engine/model/stage.h"

#include <algorithm>
#include <map>

namespace longship {

namespace {

std::vector<Block> make_blocks(const ModelConfig& config, const ModelFamily& family, ParamTable& params,
                               Workspace& workspace, Range layers) {
  std::vector<Block> blocks;
  for (int64_t layer = layers.begin; layer < layers.end; ++layer) {
    blocks.emplace_back(params, workspace, config, layer, family.block(config, params.source(), layer));
  }
  return blocks;
}

std::vector<int64_t> kv_heads(const std::vector<Block>& blocks) {
  std::vector<int64_t> heads;
  for (const Block& block : blocks) {
    heads.push_back(block.kv_heads());
  }
  return heads;
}

}  // namespace

Stage::Stage(const ModelConfig& config, const ModelFamily& family, WeightSource& weights, Kernels& kernels,
             const Mesh& mesh, const Coord& me, const StageLimits& limits, std::span<const Adapter> adapters)
    : config_(config),
      weights_(weights),
      kernels_(kernels),
      limits_(limits),
      params_(weights, kernels, mesh.extent(Axis::kTp), me.tp),
      workspace_(limits.step, kernels),
      rotary_(config),
      inlet_(me.pp == 0 ? make_embed_inlet(params_, workspace_, config, family.edges(config, weights))
                        : make_receive_inlet()),
      blocks_(
          make_blocks(config, family, params_, workspace_, stage_layers(config.layers, mesh.extent(Axis::kPp), me.pp))),
      outlet_(me.pp == mesh.extent(Axis::kPp) - 1
                  ? make_head_outlet(params_, workspace_, config, family.edges(config, weights))
                  : make_send_outlet()),
      kv_(kv_heads(blocks_), config.head_dim, limits.kv_pages, limits.kv_dtype),
      layer_sums_(sums_of_layer()) {
  const int64_t rows = limits.step.rows;
  workspace_.declare(Slot::kTokens, rows);
  workspace_.declare(Slot::kPositions, rows);
  workspace_.declare(Slot::kLogitRows, limits.step.logit_rows);
  workspace_.declare(Slot::kHidden, rows * config.width);
  workspace_.declare(Slot::kNormed, rows * config.width);
  if (!config.learned_positions) {
    workspace_.declare(Slot::kCos, rows * config.head_dim / 2);
    workspace_.declare(Slot::kSin, rows * config.head_dim / 2);
  }
  adapt(family, adapters, stage_layers(config.layers, mesh.extent(Axis::kPp), me.pp).begin);
}

void Stage::adapt(const ModelFamily& family, std::span<const Adapter> adapters, int64_t first_layer) {
  if (!adapters.empty()) {
    workspace_.declare(Slot::kAdaptedRows, limits_.step.rows);
    workspace_.declare(Slot::kAdaptedGroups, limits_.step.rows);
  }
  for (const Adapter& adapter : adapters) {
    ParamTable& params = adapter_params_.emplace_back(adapter.weights(), kernels_, params_.tp(), params_.tp_rank());
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      blocks_[i].adapt(params, workspace_, adapter, family.modules(first_layer + static_cast<int64_t>(i)));
    }
  }
}

MemoryUse Stage::memory() const {
  MemoryUse use{params_.bytes(), kv_.bytes(),
                workspace_.bytes() + kernels_.scratch_bytes(limits_.step.rows, params_.max_columns())};
  for (const ParamTable& adapter : adapter_params_) {
    use.weights_bytes += adapter.bytes();
  }
  return use;
}

int64_t Stage::source_bytes() const {
  int64_t bytes = params_.source_bytes();
  for (const ParamTable& adapter : adapter_params_) {
    bytes += adapter.source_bytes();
  }
  return bytes;
}

StageCost Stage::cost() const {
  StageCost cost{.layers = std::ssize(blocks_),
                 .width = config_.width,
                 .head_ops = outlet_->head_ops(),
                 .kv_bytes_per_key = kv_.bytes() / std::max<int64_t>(1, limits_.kv_pages * kPageTokens)};
  std::map<DType, int64_t> bytes_of_dtype;
  for (const Param& param : params_.params()) {
    for (const Weight& part : param.parts) {
      const int64_t bytes = kernels_.packed_bytes(part.dtype, part.rows, part.columns);
      cost.weight_bytes += bytes;
      bytes_of_dtype[part.dtype] += bytes;
      cost.ops_per_token += 2 * part.rows * part.columns;
    }
  }
  cost.ops_per_token -= cost.head_ops;
  int64_t most = 0;
  for (const auto& [dtype, bytes] : bytes_of_dtype) {
    cost.weight_dtype = bytes > most ? dtype : cost.weight_dtype;
    most = std::max(most, bytes);
  }
  for (const Block& block : blocks_) {
    cost.ops_per_key += block.ops_per_key();
  }
  return cost;
}

std::vector<Stage::SharedSum> Stage::sums_of_layer() const {
  std::vector<SharedSum> sums;
  for (const Param& param : params_.params()) {
    if (const ParamSpec& spec = param.spec; spec.shard.contracts) {
      const auto groups = static_cast<int32_t>(spec.shard.segments.front().units());
      sums.push_back({ReductionTree(groups, unit_bounds(spec, params_.tp())), spec.global[0]});
    }
  }
  sums.resize(blocks_.empty() ? 0 : sums.size() / blocks_.size());  // declared layer by layer, all alike
  return sums;
}

int64_t Stage::sum_bytes() const {
  int64_t most = 0;
  for (const SharedSum& sum : layer_sums_) {
    const auto ranks = int64_t{params_.tp()};
    const int64_t part = (limits_.step.rows * sum.outputs + ranks - 1) / ranks;
    int64_t nodes = 0;
    for (int rank = 0; rank < params_.tp(); ++rank) {
      nodes += rank == params_.tp_rank() ? 0 : sum.tree.node_count(rank);
    }
    most = std::max(most, bytes_of(DType::kF32, nodes * part));
  }
  return most;
}

void Stage::exchange_sum(std::size_t which, int64_t rows, RankContext& ctx) const {
  const SharedSum& sum = layer_sums_[which];
  const Tensor nodes = workspace_.take(Slot::kNodes, {sum.tree.node_count(ctx.tp.rank()), rows, sum.outputs});
  Tensor root = workspace_.take(Slot::kReduced, {rows, sum.outputs});
  ctx.tp.tree_reduce(nodes, sum.tree, root, ctx.stream);
}

void Stage::allocate(PackedCopy* packed, std::byte* keys_values) {
  params_.allocate(packed);
  for (ParamTable& adapter : adapter_params_) {
    adapter.allocate();
  }
  kv_.allocate(kernels_, keys_values);
  workspace_.allocate();
  kernels_.reserve(limits_.step.rows, params_.max_columns());
}

void Stage::load(const LoadProgress& progress) {
  params_.load(progress);
  for (ParamTable& adapter : adapter_params_) {
    adapter.load(progress);
  }
  if (!config_.rope_scaling.divisors.empty()) {
    rotary_.divide(weights_, config_.rope_scaling.divisors);
  }
}

// Whether the operations of a step can be repeated for other tokens: each sequence has one row, and what the ranks of a
// stage do together is recorded with the rest. The same on every rank of the stage.
bool Stage::can_be_replayed(const StepPlan& plan, const RankContext& ctx) const {
  return (ctx.tp.size() == 1 ||
          std::ranges::all_of(layer_sums_, [&](const SharedSum& sum) { return ctx.tp.is_recordable(sum.tree); })) &&
         std::ranges::all_of(plan.slices, [](const PlanSlice& slice) { return slice.rows == 1; });
}

StepKey Stage::key_of(const StepPlan& plan, bool replayed) const {
  const auto rounded = [&](int64_t rows, int64_t most) {
    return replayed ? std::min(kernels_.decode_rows(rows), most) : rows;
  };
  const int64_t logit_rows = plan.logit_rows();
  return {.owner = this,
          .rows = rounded(std::ssize(plan.tokens), limits_.step.rows),
          .logit_rows = logit_rows == 0 ? 0 : rounded(logit_rows, limits_.step.logit_rows),
          .adapted = std::ranges::any_of(plan.slices, [](const PlanSlice& slice) { return slice.adapter != 0; })};
}

// Rows behind those of the plan look like the first token of a sequence.
Batch Stage::make_batch(const StepPlan& plan, int64_t rows, bool replayed, Stream& stream) {
  for (const int32_t token : plan.tokens) {
    LONGSHIP_CHECK(token >= 0 && token < config_.vocab, "every token of a plan is in the vocabulary");
  }
  Batch batch{.tokens = workspace_.take(Slot::kTokens, {rows}, DType::kI32),
              .positions = workspace_.take(Slot::kPositions, {rows}, DType::kI32),
              .slices = {},
              .adapted = {}};
  positions_.clear();
  for (const PlanSlice& slice : plan.slices) {
    batch.slices.push_back({std::ssize(positions_), slice.rows, slice.begin, slice.pages});
    for (int64_t i = 0; i < slice.rows; ++i) {
      positions_.push_back(static_cast<int32_t>(slice.begin + i));
    }
  }
  LONGSHIP_CHECK(positions_.size() == plan.tokens.size(), "slices of a plan hold its tokens");
  tokens_ = plan.tokens;
  tokens_.resize(static_cast<std::size_t>(rows));
  positions_.resize(static_cast<std::size_t>(rows));
  kernels_.write(tokens_.data(), batch.tokens, stream);
  kernels_.write(positions_.data(), batch.positions, stream);
  batch.adapted = adapted_rows(plan, rows, replayed, stream);
  kernels_.begin_step(batch, stream);
  return batch;
}

// From the last stage to the first, and on to the one before the last: they all look at them later.
void Stage::pass_tokens(Tensor tokens, RankContext& ctx, DrawnTokens* drawn) const {
  if (drawn != nullptr) {
    drawn->feed(tokens, ctx.stream);
  }
  const int stages = ctx.pp.size();
  const int last = stages - 1;
  const int next = (ctx.pp.rank() + 1) % stages;
  if (ctx.pp.rank() != last) {
    ctx.pp.recv(tokens, (ctx.pp.rank() + last) % stages, ctx.stream);
  }
  if (next != last && stages > 1) {
    ctx.pp.send(tokens, next, ctx.stream);
  }
}

std::span<const int32_t> Stage::read_tokens(int64_t rows, RankContext& ctx) {
  tokens_.resize(static_cast<std::size_t>(rows));
  kernels_.read(workspace_.take(Slot::kTokens, {rows}, DType::kI32), tokens_.data(), ctx.stream);
  return tokens_;
}

// Those that have an adapter, by adapter; none where no sequence has one. A step that is repeated with others has
// places for all of its `rows` rows, and every adapter may come.
AdaptedRows Stage::adapted_rows(const StepPlan& plan, int64_t rows, bool replayed, Stream& stream) {
  const int64_t adapters = std::ssize(adapter_params_);
  std::vector<std::vector<int32_t>> rows_of(static_cast<std::size_t>(adapters) + 1);  // the first have none
  int32_t row = 0;
  for (const PlanSlice& slice : plan.slices) {
    LONGSHIP_CHECK(slice.adapter >= 0 && slice.adapter <= adapters, "every adapter of a plan is the model's");
    for (int64_t i = 0; i < slice.rows; ++i) {
      rows_of[static_cast<std::size_t>(slice.adapter)].push_back(row++);
    }
  }
  for (; row < rows; ++row) {
    rows_of[0].push_back(row);
  }
  AdaptedRows adapted;
  if (std::ssize(rows_of[0]) == rows) {
    return adapted;
  }
  const bool all = replayed && !kernels_.in_host_memory();
  adapted_rows_.clear();
  row_adapters_.clear();
  for (int32_t adapter = 0; adapter < adapters; ++adapter) {
    const std::vector<int32_t>& own = rows_of[static_cast<std::size_t>(adapter) + 1];
    if (all || !own.empty()) {
      adapted.adapters.push_back(static_cast<std::size_t>(adapter));
    }
    adapted_rows_.insert(adapted_rows_.end(), own.begin(), own.end());
    row_adapters_.resize(adapted_rows_.size(), adapter);
  }
  if (all) {
    adapted_rows_.insert(adapted_rows_.end(), rows_of[0].begin(), rows_of[0].end());
    row_adapters_.resize(adapted_rows_.size(), -1);
  }
  adapted.groups = {workspace_.take(Slot::kAdaptedRows, {std::ssize(adapted_rows_)}, DType::kI32),
                    workspace_.take(Slot::kAdaptedGroups, {std::ssize(adapted_rows_)}, DType::kI32)};
  kernels_.write(adapted_rows_.data(), adapted.groups.rows, stream);
  kernels_.write(row_adapters_.data(), adapted.groups.groups, stream);
  return adapted;
}

Tensor Stage::logit_rows(const StepPlan& plan, int64_t count, Stream& stream) {
  Tensor rows = workspace_.take(Slot::kLogitRows, {count}, DType::kI32);
  logit_rows_.clear();
  int64_t end = 0;
  for (const PlanSlice& slice : plan.slices) {
    end += slice.rows;
    for (int64_t row = end - slice.logit_rows; row < end; ++row) {
      logit_rows_.push_back(static_cast<int32_t>(row));
    }
  }
  logit_rows_.resize(static_cast<std::size_t>(count));
  kernels_.write(logit_rows_.data(), rows, stream);
  return rows;
}

RotaryAngles Stage::angles(Stream& stream) {
  if (config_.learned_positions) {
    return {};
  }
  const Shape shape = {std::ssize(positions_), config_.head_dim / 2};
  RotaryAngles angles{workspace_.take(Slot::kCos, shape), workspace_.take(Slot::kSin, shape)};
  cos_.resize(static_cast<std::size_t>(angles.cos.elements()));
  sin_.resize(cos_.size());
  rotary_.fill(positions_, cos_.data(), sin_.data());
  kernels_.write(cos_.data(), angles.cos, stream);
  kernels_.write(sin_.data(), angles.sin, stream);
  return angles;
}

NextNorm Stage::entry(std::size_t block) const {
  return block < blocks_.size() ? blocks_[block].entry() : NextNorm{};
}

Tensor Stage::execute(const StepPlan& plan, RankContext& ctx, bool behind, DrawnTokens* drawn) {
  const bool replayed = can_be_replayed(plan, ctx);
  const StepKey key = key_of(plan, replayed);
  const Batch batch = make_batch(plan, key.rows, replayed, ctx.stream);
  if (behind) {
    pass_tokens(batch.tokens.slice(0, std::ssize(plan.tokens)), ctx, drawn);
  }
  const RotaryAngles rotary = angles(ctx.stream);
  const Tensor wanted = logit_rows(plan, key.logit_rows, ctx.stream);
  Tensor hidden = workspace_.take(Slot::kHidden, {key.rows, config_.width});
  Tensor of_sequences = hidden.slice(0, std::ssize(plan.tokens));  // what stages need of each other
  if (!inlet_->is_local()) {
    inlet_->take(batch, of_sequences, ctx);
  }
  const auto work = [&] { return forward(batch, rotary, wanted, hidden, ctx); };
  const Tensor logits = replayed ? ctx.ops.replay(key, work, ctx.stream) : work();
  if (!outlet_->is_local()) {
    return outlet_->put(of_sequences, wanted, ctx);
  }
  return key.logit_rows == plan.logit_rows() ? logits : logits.slice(0, plan.logit_rows());
}

// What needs no other stage.
Tensor Stage::forward(const Batch& batch, const RotaryAngles& rotary, const Tensor& wanted, Tensor& hidden,
                      RankContext& ctx) {
  if (inlet_->is_local()) {
    inlet_->take(batch, hidden, ctx);
  }
  Tensor normed = workspace_.take(Slot::kNormed, hidden.shape());
  if (const NextNorm first = entry(0); first.norm != nullptr) {
    first.norm->forward(hidden, normed, ctx);
  }
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    blocks_[i].forward(hidden, normed, entry(i + 1), batch, rotary, kv_.layer(i), ctx);
  }
  return outlet_->is_local() ? outlet_->put(hidden, wanted, ctx) : Tensor();
}

}  // namespace longship
