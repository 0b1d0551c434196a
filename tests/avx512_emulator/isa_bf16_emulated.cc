// As engine/backend/cpu/isa_avx512_bf16.cc.
#define LONGSHIP_CPU_NAMESPACE cpu_avx512_bf16_emulated
#include "engine/backend/cpu/isa.h"
#include "tests/avx512_emulator/isa_emulated.h"
#include "tests/avx512_emulator/names.h"
//
#include "engine/backend/cpu/vec_avx512_inl.h"
//
#include "engine/backend/cpu/math_inl.h"
//
#include "engine/backend/cpu/formats_inl.h"
#include "engine/backend/cpu/quantise_inl.h"
//
#include "engine/backend/cpu/pairs_dpbf16_inl.h"
//
#include "engine/backend/cpu/pair_format_inl.h"
//
#include "engine/backend/cpu/linear_inl.h"
#include "engine/backend/cpu/peak_inl.h"

namespace longship::cpu {

const Isa& emulated_avx512_bf16_isa() {
  static const Isa kIsa = [] {
    Isa isa = emulated_avx512_isa();
    isa.name = "avx512_bf16 emulated";
    isa.round_to_pairs = cpu_avx512_bf16_emulated::round_to_pairs;
    isa.pair_bytes = cpu_avx512_bf16_emulated::kPairBytes;
    isa.linear_pairs = cpu_avx512_bf16_emulated::linear_pairs;
    isa.multiply_pairs = cpu_avx512_bf16_emulated::multiply_pairs;
    return isa;
  }();
  return kIsa;
}

}  // namespace longship::cpu
