#include "engine/model/norm.h"

#include "engine/model/specs.h"

namespace longship {

Norm::Norm(ParamTable& params, const ModelConfig& config, const std::string& source)
    : kind_(config.norm),
      eps_(static_cast<float>(config.norm_eps)),
      gain_(params.declare(replicated_vector(source + ".weight", config.width))) {
  if (kind_ == NormKind::kLayer) {
    bias_ = params.declare(replicated_vector(source + ".bias", config.width));
  }
}

void Norm::forward(const Tensor& x, Tensor& y, RankContext& ctx) const {
  if (kind_ == NormKind::kLayer) {
    ctx.ops.layer_norm(x, gain_->values, bias_->values, eps_, y, ctx.stream);
  } else {
    ctx.ops.rms_norm(x, gain_->values, eps_, y, ctx.stream);
  }
}

AddNorm Norm::after_sum(const Tensor& bias, const Tensor& hidden, const Tensor& normed) const {
  return {.bias = bias,
          .hidden = hidden,
          .gain = gain_->values,
          .norm_bias = bias_ != nullptr ? bias_->values : Tensor(),
          .eps = eps_,
          .normed = normed};
}

}  // namespace longship
