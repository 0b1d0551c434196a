// Everything here may use AVX2, FMA and F16C.
#define LONGSHIP_CPU_NAMESPACE cpu_avx2
#include "engine/backend/cpu/vec_avx2_inl.h"
//
#include "engine/backend/cpu/isa_table_inl.h"

namespace longship::cpu {

const Isa& avx2_isa() {
  static constexpr Isa kIsa = cpu_avx2::make_isa("avx2");
  return kIsa;
}

}  // namespace longship::cpu
