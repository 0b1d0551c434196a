#pragma once

#include <string>

#include "engine/model/config.h"
#include "engine/model/linear.h"

namespace longship {

/// Where a feed-forward layer's tensors are in the checkpoint, without ".weight" and ".bias".
struct FeedForwardNames {
  std::string gate;  ///< Read only if the model is gated.
  std::string up;
  std::string down;
  bool transposed = false;
};

/// The feed-forward layer, gated (GLU variants, arXiv 2002.05202) or plain. Its inner columns are cut over tp by the
/// groups in which `down` is summed.
class FeedForward {
 public:
  FeedForward(ParamTable& params, Workspace& workspace, const ModelConfig& config, const FeedForwardNames& names);

  /// See Linear::adapt(). `names`: the adapter's, of the modules.
  void adapt(ParamTable& params, Workspace& workspace, const Adapter& adapter, const FeedForwardNames& names);

  /// The weights that multiply its input.
  std::span<const Weight> readers() const { return up_.weights(); }
  /// hidden += ffn(normed), then normed = the norm that is next, if any. normed, hidden [T, D]. Collective over tp.
  void forward(Tensor& normed, Tensor& hidden, const NextNorm& next, const Batch& batch, RankContext& ctx) const;

 private:
  bool gated_;
  int64_t group_columns_;
  Linear up_;  ///< [gate | up] if gated
  Linear down_;
};

}  // namespace longship
