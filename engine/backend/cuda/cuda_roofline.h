#pragma once

#include "core/roofline.h"
#include "cuda/api.h"

namespace longship::cuda {

/// What the current device reaches: the best of a few readings of memory larger than its cache, and of multiply-adds in
/// f32, the arithmetic of all our products.
Roofline measure_roofline(const DeviceProperties& device, StreamHandle stream);

}  // namespace longship::cuda
