#pragma once

#include <memory>
#include <vector>

#include "core/reduction_tree.h"
#include "engine/kv/kv_store.h"
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
  /// Weights and kernels outlive the stage. Errors: kModelFile for a tensor that is missing or misshaped.
  Stage(const ModelConfig& config, const ModelFamily& family, WeightSource& weights, Kernels& kernels, const Mesh& mesh,
        const Coord& me, const StageLimits& limits);

  MemoryUse memory() const;
  /// What its work takes.
  StageCost cost() const;
  /// Bytes that load() reads.
  int64_t source_bytes() const { return params_.source_bytes(); }
  /// What its packed weights depend on, and where they may be kept: see ParamTable.
  std::string weights_facts() const { return params_.facts(); }
  /// `keys_values`: see KvStore.
  void allocate(PackedCopy* packed = nullptr, std::byte* keys_values = nullptr);
  void load(const LoadProgress& progress);

  const Workspace& workspace() const { return workspace_; }
  /// Runs one step: inlet, layers, outlet. Every rank of the mesh executes every plan, in the order published. Returns
  /// logits [plan.logit_rows(), this rank's part of the vocabulary] on ranks of the last stage, else an empty tensor.
  /// `fed`: if it is there, what the tokens are instead of those of the plan.
  Tensor execute(const StepPlan& plan, RankContext& ctx, DrawnTokens* fed = nullptr);
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
  bool can_be_replayed(const StepPlan& plan, const RankContext& ctx) const;
  StepKey key_of(const StepPlan& plan, bool replayed) const;
  Batch make_batch(const StepPlan& plan, int64_t rows, DrawnTokens* fed, Stream& stream);
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
  std::vector<float> cos_;
  std::vector<float> sin_;
};

}  // namespace longship
