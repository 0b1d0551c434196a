#pragma once

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

 private:
  NormKind kind_;
  float eps_;
  Param* gain_;
  Param* bias_ = nullptr;
};

}  // namespace longship
