// Products of bf16 pairs by two multiply-adds, the odd columns first. pairs_dpbf16_inl.h has one instruction for both.

namespace longship::LONGSHIP_CPU_NAMESPACE {

/// Parts in which a pair is added: 0 the odd columns, 1 the even ones.
constexpr int kPairParts = 2;
using PairPart = F32;

/// Activations are floats, of which every lane takes one without more ado.
constexpr int64_t kPairBytes = 8;

inline void round_to_pairs(const float* x, int64_t columns, std::byte* pairs) {
  auto* to = reinterpret_cast<float*>(pairs);
  for (int64_t i = 0; i < columns; i += cpu::kLanes) {
    const int64_t count = columns - i < cpu::kLanes ? columns - i : cpu::kLanes;
    store_n(to + i, round_to_bf16(load_n(x + i, count)), 2 * cpu::pairs_of(count));
  }
}

inline PairPart weight_part(const std::byte* pairs, int part) {
  const Bytes both = load_bytes(pairs);
  return part == 0 ? odd_halves(both) : even_halves(both);
}
inline PairPart activation_part(const std::byte* pair, int part) {
  return broadcast(reinterpret_cast<const float*>(pair)[1 - part]);
}
inline F32 add_pairs(PairPart w, PairPart x, F32 sum) {
  return fma(w, x, sum);
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
