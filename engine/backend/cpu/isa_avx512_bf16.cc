// Everything here may use AVX-512 F, BW, DQ, VL, VNNI and BF16.
#define LONGSHIP_CPU_NAMESPACE cpu_avx512_bf16
#include "engine/backend/cpu/vec_avx512_inl.h"
//
#include "engine/backend/cpu/isa_bf16_inl.h"

namespace longship::cpu {

const Isa& avx512_bf16_isa() {
  static const Isa kIsa = cpu_avx512_bf16::with_pair_products(avx512_isa(), "avx512_bf16");
  return kIsa;
}

bool bf16_products_are_two_fma() {
  namespace isa = cpu_avx512_bf16;
  constexpr int kRounds = 256;
  uint32_t random = 1;
  const auto next = [&] { return random = random * 1664525U + 1013904223U; };
  uint32_t differences = 0;
  for (int round = 0; round < kRounds; ++round) {
    // Exponents near each other: each step rounds, and many sums cancel.
    uint32_t words[3][kLanes];
    for (int lane = 0; lane < kLanes; ++lane) {
      words[0][lane] = (next() >> 3U & 0x80FF80FFU) | 0x3F003F00U;
      words[1][lane] = (next() >> 3U & 0x80FF80FFU) | 0x3F003F00U;
      words[2][lane] = (next() >> 3U & 0x80FFFFFFU) | 0x3F000000U;
    }
    const isa::I32 w = isa::load_bytes(words[0]);
    const isa::I32 x = isa::load_bytes(words[1]);
    const isa::F32 sum = isa::as_floats(isa::load_bytes(words[2]));
    const isa::F32 one = _mm512_dpbf16_ps(sum, (__m512bh)w, (__m512bh)x);
    const isa::F32 two =
        isa::fma(isa::even_halves(w), isa::even_halves(x), isa::fma(isa::odd_halves(w), isa::odd_halves(x), sum));
    differences |= _mm512_cmpneq_epi32_mask(isa::as_bits(one), isa::as_bits(two));
  }
  return differences == 0;
}

}  // namespace longship::cpu
