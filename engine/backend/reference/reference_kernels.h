#pragma once

#include "engine/backend/kernels.h"

namespace longship {

/// The oracle: plain loops, in double where it matters, one thread, weights dequantised to f32. Always exact.
std::unique_ptr<Kernels> make_reference_kernels();

}  // namespace longship
