// Products of bf16 pairs by VDPBF16PS of AVX512_BF16; the same bits as those of pairs_fma_inl.h.

namespace longship::LONGSHIP_CPU_NAMESPACE {

constexpr int kPairParts = 1;
using PairPart = __m512bh;

constexpr int64_t kPairBytes = 4;

inline void round_to_pairs(const float* x, int64_t columns, std::byte* pairs) {
  for (int64_t i = 0; i < columns; i += cpu::kLanes) {
    const int64_t count = columns - i < cpu::kLanes ? columns - i : cpu::kLanes;
    const I32 halves = _mm512_srli_epi32(as_bits(round_to_bf16(load_n(x + i, count))), 16);
    _mm512_mask_cvtepi32_storeu_epi16(pairs + i * 2, first_lanes(2 * cpu::pairs_of(count)), halves);
  }
}

inline PairPart weight_part(const std::byte* pairs, int /*part*/) {
  return (__m512bh)load_bytes(pairs);
}
inline PairPart activation_part(const std::byte* pair, int /*part*/) {
  return (__m512bh)broadcast_bytes(pair);
}
inline F32 add_pairs(PairPart w, PairPart x, F32 sum) {
  return _mm512_dpbf16_ps(sum, w, x);
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
