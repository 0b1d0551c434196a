#pragma once

#include <optional>
#include <string>

#include "engine/backend/kernels.h"
#include "engine/model/config.h"
#include "engine/model/linear.h"

namespace longship {

/// Where an attention layer's tensors are in the checkpoint, without ".weight" and ".bias".
struct AttentionNames {
  std::string q;
  std::string k;
  std::string v;
  std::string out;
  std::string q_norm;  ///< Read only if the model has QK-norm.
  std::string k_norm;
  bool fused = false;       ///< q, k and v are the rows of one tensor, in this order, named by q.
  bool transposed = false;  ///< Matrices are stored (in, out).
};

/// cos and sin [T, Dh / 2] of a step; empty where the model has learned positions.
struct RotaryAngles {
  Tensor cos;
  Tensor sin;
};

/// Grouped-query attention over the query heads of this rank. Query heads are cut in groups; a key/value head lives
/// on every rank that has one of its query heads.
class Attention {
 public:
  Attention(ParamTable& params, Workspace& workspace, const ModelConfig& config, int64_t layer,
            const AttentionNames& names);

  /// See Linear::adapt(). `names`: the adapter's, of the modules.
  void adapt(ParamTable& params, Workspace& workspace, const Adapter& adapter, const AttentionNames& names);

  /// Key/value heads that this rank computes and caches.
  int64_t kv_heads() const { return kv_heads_; }
  /// Operations for each key that a token sees: scores and weighted values.
  int64_t ops_per_key() const { return 4 * heads_ * head_dim_; }
  /// The weights that multiply its input.
  std::span<const Weight> readers() const { return qkv_.weights(); }
  /// hidden += attention(normed), then normed = the norm that is next, if any. normed, hidden [T, D]. Collective over
  /// tp.
  void forward(Tensor& normed, Tensor& hidden, const NextNorm& next, const Batch& batch, const RotaryAngles& angles,
               KvLayer& kv, RankContext& ctx) const;

 private:
  int64_t head_dim_;
  int64_t heads_;
  int64_t kv_heads_;
  float norm_eps_;
  bool rotary_;
  AttentionSpec spec_;
  Linear qkv_;
  Linear out_;
  Param* q_norm_ = nullptr;
  Param* k_norm_ = nullptr;
};

}  // namespace longship
