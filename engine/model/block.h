#pragma once

#include "engine/model/attention.h"
#include "engine/model/feed_forward.h"
#include "engine/model/norm.h"

namespace longship {

/// Where a layer's tensors are in the checkpoint.
struct BlockNames {
  std::string attention_norm;
  AttentionNames attention;
  std::string ffn_norm;
  FeedForwardNames ffn;
};

/// One layer of a decoder with a norm before each part:
/// x += attention(norm(x)); x += ffn(norm(x)).
class Block {
 public:
  Block(ParamTable& params, Workspace& workspace, const ModelConfig& config, int64_t layer, const BlockNames& names);

  /// See Linear::adapt(). `modules`: what the adapter calls the layer's modules.
  void adapt(ParamTable& params, Workspace& workspace, const Adapter& adapter, const BlockNames& modules);

  /// Key/value heads that this rank caches for this layer.
  int64_t kv_heads() const { return attention_.kv_heads(); }
  /// Operations of attention for each key that a token sees.
  int64_t ops_per_key() const { return attention_.ops_per_key(); }
  /// What stands at its beginning.
  NextNorm entry() const { return {&attention_norm_, attention_.readers()}; }
  /// x [T, D], in place. normed [T, D]: at first the norm of x at the beginning, then the one that is next, if any.
  /// Collective over tp.
  void forward(Tensor& x, Tensor& normed, const NextNorm& next, const Batch& batch, const RotaryAngles& angles,
               KvLayer& kv, RankContext& ctx) const;

 private:
  Norm attention_norm_;
  Attention attention_;
  Norm ffn_norm_;
  FeedForward ffn_;
};

}  // namespace longship
