#pragma once

#include "engine/backend/cpu/isa.h"

namespace longship::cpu {

/// The kernels of avx512_isa(), avx512_bf16_isa(), amx_isa() and amx_bf16_isa(), run by emulated instructions on any
/// CPU with AVX2.
const Isa& emulated_avx512_isa();
const Isa& emulated_avx512_bf16_isa();
const Isa& emulated_amx_isa();
const Isa& emulated_amx_bf16_isa();

}  // namespace longship::cpu
