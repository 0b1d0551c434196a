// Products of bf16 pairs by VDPBF16PS of AVX512_BF16; the same bits as those of pairs_fma_inl.h.

namespace longship::LONGSHIP_CPU_NAMESPACE {

constexpr int kPairParts = 1;
using PairPart = __m512bh;

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
