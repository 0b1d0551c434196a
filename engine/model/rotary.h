#pragma once

#include <span>
#include <vector>

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
  /// cos, sin: T x Dh / 2 values in host memory, of T positions.
  void fill(std::span<const int32_t> positions, float* cos, float* sin) const;

 private:
  std::vector<double> frequencies_;  ///< Radians a position, for each pair.
  double magnitude_ = 1.0;           ///< Factor on cos and sin.
};

}  // namespace longship
