#pragma once

#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "core/reduction_tree.h"
#include "engine/kv/kv_store.h"
#include "engine/model/adapter.h"
#include "engine/model/edges.h"
#include "engine/model/rotary.h"
#include "engine/schedule/step_plan.h"

namespace longship {

/// Sizes of a rank's memory that are not the model's.
struct StageLimits {
  StepLimits step;
  int64_t kv_pages = 0;
  DType kv_dtype = DType::kF16;
};

/// Bytes that a rank allocates. The same declarations give it before and after the allocation.
struct MemoryUse {
  int64_t weights_bytes = 0;
  int64_t kv_bytes = 0;
  int64_t workspace_bytes = 0;

  int64_t total_bytes() const { return weights_bytes + kv_bytes + workspace_bytes; }
};

/// The layers of one rank: its stage of the pipeline, its shard of each layer. Constructing it declares everything and
/// allocates nothing, so a plan of the memory needs no device and no other rank.
class Stage {
 public:
  /// Plans call the k-th of `adapters`, which fit the model, k + 1. Weights, adapters and kernels outlive the stage.
  /// Errors: kModelFile for a tensor that is missing or misshaped.
  Stage(const ModelConfig& config, const ModelFamily& family, WeightSource& weights, Kernels& kernels, const Mesh& mesh,
        const Coord& me, const StageLimits& limits, std::span<const Adapter> adapters = {});

  const ModelConfig& config() const { return config_; }
  MemoryUse memory() const;
  /// Bytes of a packed copy of the model's weights; the adapters' are not part of it.
  int64_t packed_bytes() const { return params_.bytes(); }
  /// What its work takes.
  StageCost cost() const;
  /// Bytes that load() reads.
  int64_t source_bytes() const;
  /// What its packed weights depend on, and where they may be kept: see ParamTable.
  std::string weights_facts() const { return params_.facts(); }
  /// `keys_values`: see KvStore.
  void allocate(PackedCopy* packed = nullptr, std::byte* keys_values = nullptr);
  void load(const LoadProgress& progress);

  const Workspace& workspace() const { return workspace_; }
  /// Runs one step: inlet, layers, outlet. Every rank of the mesh executes every plan, in the order published. Returns
  /// logits [plan.logit_rows(), this rank's part of the vocabulary] on ranks of the last stage, else an empty tensor.
  Tensor execute(const StepPlan& plan, RankContext& ctx) { return execute(plan, ctx, false, nullptr); }
  /// The same, but the tokens are those that the last stage has chosen in the step before, which go to every stage;
  /// `drawn` are these on the last one. Where there are several, only if pp.sends_on_device().
  Tensor execute_behind(const StepPlan& plan, RankContext& ctx, DrawnTokens* drawn) {
    return execute(plan, ctx, true, drawn);
  }
  /// The tokens of such a step of one of the stages before the last, once this one has done its part. No other step has
  /// begun since.
  std::span<const int32_t> read_tokens(int64_t rows, RankContext& ctx);
  /// Of the largest message to the next stage.
  int64_t message_bytes() const { return bytes_of(DType::kF32, limits_.step.rows * config_.width); }
  /// The most that other ranks have of a rank's part of a sum over tp, rows and outputs being dealt out evenly.
  int64_t sum_bytes() const;
  /// Sums over tp that a layer takes.
  std::size_t layer_sums() const { return layer_sums_.size(); }
  /// Adds up one of them as a step of `rows` rows does, whatever values there are: for measuring. Collective over tp.
  void exchange_sum(std::size_t which, int64_t rows, RankContext& ctx) const;

 private:
  /// A product whose terms are spread over tp.
  struct SharedSum {
    ReductionTree tree;
    int64_t outputs = 0;
  };

  std::vector<SharedSum> sums_of_layer() const;
  void adapt(const ModelFamily& family, std::span<const Adapter> adapters, int64_t first_layer);
  AdaptedRows adapted_rows(const StepPlan& plan, int64_t rows, bool replayed, Stream& stream);
  bool can_be_replayed(const StepPlan& plan, const RankContext& ctx) const;
  StepKey key_of(const StepPlan& plan, bool replayed) const;
  Tensor execute(const StepPlan& plan, RankContext& ctx, bool behind, DrawnTokens* drawn);
  Batch make_batch(const StepPlan& plan, int64_t rows, bool replayed, Stream& stream);
  void pass_tokens(Tensor tokens, RankContext& ctx, DrawnTokens* drawn) const;
  Tensor logit_rows(const StepPlan& plan, int64_t count, Stream& stream);
  RotaryAngles angles(Stream& stream);
  Tensor forward(const Batch& batch, const RotaryAngles& rotary, const Tensor& wanted, Tensor& hidden,
                 RankContext& ctx);
  /// Of block `block` of this stage; nothing behind the last one.
  NextNorm entry(std::size_t block) const;

  const ModelConfig& config_;
  WeightSource& weights_;
  Kernels& kernels_;
  StageLimits limits_;
  ParamTable params_;
  std::deque<ParamTable> adapter_params_;  ///< Of each adapter.
  Workspace workspace_;
  Rotary rotary_;
  std::unique_ptr<Inlet> inlet_;
  std::vector<Block> blocks_;
  std::unique_ptr<Outlet> outlet_;
  KvStore kv_;
  std::vector<SharedSum> layer_sums_;
  std::vector<int32_t> tokens_;  // of the step, in host memory
  std::vector<int32_t> positions_;
  std::vector<int32_t> logit_rows_;
  std::vector<int32_t> adapted_rows_;
  std::vector<int32_t> row_adapters_;  // of each of these
  std::vector<float> cos_;
  std::vector<float> sin_;
};

}  // namespace longship
