#pragma once

#include <span>
#include <string>

#include "engine/model/config.h"
#include "engine/model/param_table.h"
#include "engine/model/rank_context.h"

namespace longship {

/// RMSNorm or LayerNorm over the whole width, replicated on every rank of a stage.
class Norm {
 public:
  /// `source` names the tensors without ".weight" and ".bias".
  Norm(ParamTable& params, const ModelConfig& config, const std::string& source);

  /// x, y [T, D]
  void forward(const Tensor& x, Tensor& y, RankContext& ctx) const;
  /// hidden [T, D] += sum + bias, which may be empty, then normed [T, D] = the norm of hidden, as backends take it.
  AddNorm after_sum(const Tensor& bias, const Tensor& hidden, const Tensor& normed) const;

 private:
  NormKind kind_;
  float eps_;
  Param* gain_;
  Param* bias_ = nullptr;
};

/// What comes after half a layer: a norm of the hidden values, and the weights that multiply its result. No norm:
/// nothing of this stage.
struct NextNorm {
  const Norm* norm = nullptr;
  std::span<const Weight> readers;
};

}  // namespace longship
