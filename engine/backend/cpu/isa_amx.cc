// Everything here may use AMX_TILE, AMX_INT8, AMX_BF16 and AVX-512 F, BW, DQ, VL and VNNI.
#include <sys/syscall.h>
#include <unistd.h>

#define LONGSHIP_CPU_NAMESPACE cpu_amx
#define LONGSHIP_ISA_WITHOUT_TILES avx512_bf16_isa
#include "engine/backend/cpu/vec_avx512_inl.h"
//
#include "engine/backend/cpu/tile_shapes_inl.h"
//
#include "engine/backend/cpu/tiles_amx_inl.h"
//
#include "engine/backend/cpu/isa_amx_inl.h"

namespace longship::cpu {

const Isa& amx_isa() {
  static const Isa kIsa = cpu_amx::with_tiles(avx512_bf16_isa(), "amx");
  return kIsa;
}

const Isa& amx_bf16_isa() {
  static const Isa kIsa = cpu_amx::with_pair_products(amx_isa(), "amx_bf16");
  return kIsa;
}

bool ask_for_tiles() {
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace longship::cpu
