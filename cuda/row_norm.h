#pragma once

namespace longship::cuda {

/// RMSNorm, or LayerNorm where there is a bias, of rows of `width` values; arrays of the device.
struct RowNorm {
  const float* gain = nullptr;
  const float* bias = nullptr;
  float eps = 0;
  int width = 0;
};

}  // namespace longship::cuda
