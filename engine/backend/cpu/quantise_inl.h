// Activations to int8, and their rounding to bf16.

namespace longship::LONGSHIP_CPU_NAMESPACE {

/// Per 32 values: scale = max |x| / 127, quants = round(x / scale). A value that is not finite makes the scale so.
inline void quantise(const float* x, int64_t columns, int8_t* quants, cpu::ActivationBlock* blocks) {
  // Below it 127 / max |x| leaves the range of normal numbers.
  constexpr float kSmallest = 1e-30F;
  for (int64_t i = 0; i < columns; i += cpu::kBlock, ++blocks) {
    const F32 first = load(x + i);
    const F32 second = load(x + i + cpu::kLanes);
    const float largest = max_lanes_or_nan(max(as_bits(abs(first)), as_bits(abs(second))));
    const bool vanishes = largest < kSmallest;
    const F32 inverse = broadcast(vanishes ? 0.0F : 127.0F / largest);
    // Only a value that is not finite could round below -127, which the dot products exclude.
    const I32 a = max(round_to_i32(mul(first, inverse)), broadcast_i32(-127));
    const I32 b = max(round_to_i32(mul(second, inverse)), broadcast_i32(-127));
    store_i8(quants + i, a);
    store_i8(quants + i + cpu::kLanes, b);
    const int32_t sums[2] = {sum_lanes(a), sum_lanes(b)};
    const float scale = vanishes ? 0.0F : largest / 127.0F;
    *blocks = {scale,
               scale * static_cast<float>(sums[0] + sums[1]),
               {static_cast<int16_t>(sums[0]), static_cast<int16_t>(sums[1])}};
  }
}

/// Each value rounded to bf16; the bits of that are the high half of the lane.
inline F32 round_to_bf16(F32 x) {
  constexpr auto kHighHalf = static_cast<int32_t>(0xFFFF0000U);
  const I32 bits = as_bits(x);
  const I32 last = bits_and(shift_right(bits, 16), broadcast_i32(1));
  const I32 rounded = add(bits, add(last, broadcast_i32(0x7FFF)));
  // What is not finite stays so: its last bits are cut off.
  const F32 truncated = as_floats(bits_and(bits, broadcast_i32(kHighHalf)));
  return select_less(abs(x), broadcast(__builtin_inff()), as_floats(bits_and(rounded, broadcast_i32(kHighHalf))),
                     truncated);
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
