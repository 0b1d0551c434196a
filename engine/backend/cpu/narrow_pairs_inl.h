// Activations as pairs of bf16 values, for instructions that take them so.

namespace longship::LONGSHIP_CPU_NAMESPACE {

constexpr int64_t kPairBytes = 4;

inline void round_to_pairs(const float* x, int64_t columns, std::byte* pairs) {
  for (int64_t i = 0; i < columns; i += cpu::kLanes) {
    const int64_t count = columns - i < cpu::kLanes ? columns - i : cpu::kLanes;
    const I32 halves = _mm512_srli_epi32(as_bits(round_to_bf16(load_n(x + i, count))), 16);
    _mm512_mask_cvtepi32_storeu_epi16(pairs + i * 2, first_lanes(2 * cpu::pairs_of(count)), halves);
  }
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
