#include "engine/model/block.h"

namespace longship {

Block::Block(ParamTable& params, Workspace& workspace, const ModelConfig& config, int64_t layer,
             const BlockNames& names)
    : attention_norm_(params, config, names.attention_norm),
      attention_(params, workspace, config, layer, names.attention),
      ffn_norm_(params, config, names.ffn_norm),
      ffn_(params, workspace, config, names.ffn) {
  workspace.declare(Slot::kNormed, workspace.limits().rows * config.width);
}

void Block::forward(Tensor& x, const Batch& batch, const RotaryAngles& angles, KvLayer& kv, RankContext& ctx) const {
  Tensor normed = ctx.workspace.take(Slot::kNormed, x.shape());
  attention_norm_.forward(x, normed, ctx);
  attention_.forward(normed, x, batch, angles, kv, ctx);
  ffn_norm_.forward(x, normed, ctx);
  ffn_.forward(normed, x, ctx);
  ctx.pp.progress();
}

}  // namespace longship
