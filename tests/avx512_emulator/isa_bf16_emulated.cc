#include "tests/avx512_emulator/isa_emulated.h"
#include "tests/avx512_emulator/names.h"
//
#define LONGSHIP_CPU_NAMESPACE cpu_avx512_bf16_emulated
#include "engine/backend/cpu/vec_avx512_inl.h"
//
#include "engine/backend/cpu/isa_bf16_inl.h"

namespace longship::cpu {

const Isa& emulated_avx512_bf16_isa() {
  static const Isa kIsa = cpu_avx512_bf16_emulated::with_pair_products(emulated_avx512_isa(), "avx512_bf16 emulated");
  return kIsa;
}

}  // namespace longship::cpu
