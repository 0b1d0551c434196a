#pragma once

#include "core/range.h"
#include "core/tensor.h"

namespace longship {

/// What becomes of a sum x [T, D] at the end of half a layer, row by row: hidden = hidden + (x + bias), then normed =
/// the RMSNorm of hidden, or its LayerNorm where there is a `norm_bias`. f32, of the device that the sum is on.
struct AddNorm {
  Tensor bias;       ///< [D], or empty
  Tensor hidden;     ///< [T, D]
  Tensor gain;       ///< [D]
  Tensor norm_bias;  ///< [D], or empty
  float eps = 0;
  Tensor normed;  ///< [T, D]
};

}  // namespace longship
