#include "engine/model/block.h"

namespace longship {

Block::Block(ParamTable& params, Workspace& workspace, const ModelConfig& config, int64_t layer,
             const BlockNames& names)
    : attention_norm_(params, config, names.attention_norm),
      attention_(params, workspace, config, layer, names.attention),
      ffn_norm_(params, config, names.ffn_norm),
      ffn_(params, workspace, config, names.ffn) {}

void Block::adapt(ParamTable& params, Workspace& workspace, const Adapter& adapter, const BlockNames& modules) {
  attention_.adapt(params, workspace, adapter, modules.attention);
  ffn_.adapt(params, workspace, adapter, modules.ffn);
}

void Block::forward(Tensor& x, Tensor& normed, const NextNorm& next, const Batch& batch, const RotaryAngles& angles,
                    KvLayer& kv, RankContext& ctx) const {
  attention_.forward(normed, x, {&ffn_norm_, ffn_.readers()}, batch, angles, kv, ctx);
  ffn_.forward(normed, x, next, batch, ctx);
  ctx.pp.progress();
}

}  // namespace longship
