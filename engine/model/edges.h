#pragma once

#include <memory>

#include "engine/model/family.h"
#include "engine/schedule/step_plan.h"

namespace longship {

/// How a stage gets its input: from the embedding, or from the stage before.
class Inlet {
 public:
  virtual ~Inlet() = default;
  /// Fills hidden [T, D]; from another stage, the rows of sequences alone.
  virtual void take(const Batch& batch, Tensor& hidden, RankContext& ctx) = 0;
  /// Whether no other stage takes part, so that what it does may be repeated with the stage's own operations.
  virtual bool is_local() const { return true; }
};

/// What a stage does with its output: the head, or the stage after.
class Outlet {
 public:
  virtual ~Outlet() = default;
  /// logit_rows [R] i32: rows of hidden [T, D] that want logits.
  /// Returns logits [R, this rank's part of the vocabulary] on ranks of the last stage, else an empty tensor.
  virtual Tensor put(const Tensor& hidden, const Tensor& logit_rows, RankContext& ctx) = 0;
  /// As that of an inlet.
  virtual bool is_local() const { return true; }
  /// Operations of the head for each row that wants logits.
  virtual int64_t head_ops() const { return 0; }
};

/// The part of the vocabulary of each rank of a stage.
std::vector<Range> vocabulary_shares(const ModelConfig& config, int tp);

/// Looks tokens up in the embedding as it is stored; adds learned positions where the model has them.
std::unique_ptr<Inlet> make_embed_inlet(ParamTable& params, Workspace& workspace, const ModelConfig& config,
                                        const EdgeNames& names);
/// Receives from the rank of the same shard in the stage before.
std::unique_ptr<Inlet> make_receive_inlet();
/// Final norm and head, the vocabulary cut over tp.
std::unique_ptr<Outlet> make_head_outlet(ParamTable& params, Workspace& workspace, const ModelConfig& config,
                                         const EdgeNames& names);
/// Sends to the rank of the same shard in the stage after; the activations travel while the next step computes.
std::unique_ptr<Outlet> make_send_outlet();

}  // namespace longship
