#include "tests/avx512_emulator/isa_emulated.h"

#include "tests/avx512_emulator/names.h"
//
#define LONGSHIP_CPU_NAMESPACE cpu_avx512_emulated
#include "engine/backend/cpu/vec_avx512_inl.h"
//
#include "engine/backend/cpu/isa_table_inl.h"

namespace longship::cpu {

const Isa& emulated_avx512_isa() {
  static constexpr Isa kIsa = cpu_avx512_emulated::make_isa("avx512 emulated");
  return kIsa;
}

}  // namespace longship::cpu
