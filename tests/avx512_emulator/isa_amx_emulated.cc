#include "tests/avx512_emulator/isa_emulated.h"
#include "tests/avx512_emulator/names.h"
//
#define LONGSHIP_CPU_NAMESPACE cpu_amx_emulated
#define LONGSHIP_ISA_WITHOUT_TILES emulated_avx512_bf16_isa
#include "engine/backend/cpu/vec_avx512_inl.h"
//
#include "engine/backend/cpu/tile_shapes_inl.h"
//
#include "tests/avx512_emulator/tiles_emulated_inl.h"
//
#include "engine/backend/cpu/isa_amx_inl.h"

namespace longship::cpu {

const Isa& emulated_amx_isa() {
  static const Isa kIsa = cpu_amx_emulated::with_tiles(emulated_avx512_bf16_isa(), "amx emulated");
  return kIsa;
}

const Isa& emulated_amx_bf16_isa() {
  static const Isa kIsa = cpu_amx_emulated::with_pair_products(emulated_amx_isa(), "amx_bf16 emulated");
  return kIsa;
}

}  // namespace longship::cpu
