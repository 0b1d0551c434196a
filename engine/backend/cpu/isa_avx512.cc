// Everything here may use AVX-512 F, BW, DQ, VL and VNNI.
#define LONGSHIP_CPU_NAMESPACE cpu_avx512
#include "engine/backend/cpu/vec_avx512_inl.h"
//
#include "engine/backend/cpu/isa_table_inl.h"

namespace longship::cpu {

const Isa& avx512_isa() {
  static constexpr Isa kIsa = cpu_avx512::make_isa("avx512");
  return kIsa;
}

}  // namespace longship::cpu
