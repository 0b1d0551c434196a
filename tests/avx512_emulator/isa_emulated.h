#pragma once

#include "engine/backend/cpu/isa.h"

namespace longship::cpu {

/// The kernels of avx512_isa(), run by emulated instructions on any CPU with AVX2.
const Isa& emulated_avx512_isa();

}  // namespace longship::cpu
