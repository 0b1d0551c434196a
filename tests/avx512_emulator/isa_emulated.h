#pragma once

#include "engine/backend/cpu/isa.h"

namespace longship::cpu {

/// The kernels of avx512_isa() and of avx512_bf16_isa(), run by emulated instructions on any CPU with AVX2.
const Isa& emulated_avx512_isa();
const Isa& emulated_avx512_bf16_isa();

}  // namespace longship::cpu
