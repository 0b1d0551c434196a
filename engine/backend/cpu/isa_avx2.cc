// Everything here may use AVX2, FMA and F16C.
#ifndef __clang__
// Sums are taken where they stand: put off, or as trees, they would need more registers than there are.
#pragma GCC optimize("no-tree-ter", "no-tree-reassoc")
#endif
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
