#pragma once

#include <vector>

#include "core/tensor.h"
#include "engine/model/config.h"
#include "engine/weights/weight_source.h"

namespace longship {

/// The angles of rotary position embedding (RoFormer, arXiv 2104.09864), with the model's scaling.
class Rotary {
 public:
  explicit Rotary(const ModelConfig& config);

  /// Divides the frequencies by the tensor that a GGUF file may hold for this (head_dim / 2 values).
  /// Errors: kModelFile if it has another shape.
  void divide(WeightSource& source, const std::string& divisors);
  /// cos, sin [T, Dh / 2] of positions [T] i32.
  void fill(const Tensor& positions, Tensor& cos, Tensor& sin) const;

 private:
  std::vector<double> frequencies_;  ///< Radians a position, for each pair.
  double magnitude_ = 1.0;           ///< Factor on cos and sin.
};

}  // namespace longship
