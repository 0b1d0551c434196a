// Sums over lanes and transcendental functions, built from the vector functions alone.

namespace longship::LONGSHIP_CPU_NAMESPACE {

/// The sum of the 16 lanes, by halves: lane i and lane i + 8, then + 4, + 2, + 1.
inline float sum_lanes(F32 a) {
  const __m256 eight = _mm256_add_ps(low_half(a), high_half(a));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

inline float max_lanes(F32 a) {
  const __m256 eight = _mm256_max_ps(low_half(a), high_half(a));
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

/// The largest of 16 floats that are not negative, whose order is that of their bits: NaN counts as larger than all.
inline float max_lanes_or_nan(I32 bits) {
  const __m256i eight = _mm256_max_epi32(low_half(bits), high_half(bits));
  const __m128i four = _mm_max_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  const __m128i two = _mm_max_epi32(four, _mm_unpackhi_epi64(four, four));
  return _mm_cvtss_f32(_mm_castsi128_ps(_mm_max_epi32(two, _mm_shuffle_epi32(two, 1))));
}

inline int32_t sum_lanes(I32 a) {
  const __m256i eight = _mm256_add_epi32(low_half(a), high_half(a));
  const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  const __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 1)));
}

inline float first_lane(F32 a) {
  return _mm256_cvtss_f32(low_half(a));
}

inline float square_root(float x) {
  return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)));
}

/// e^x within 2 units in the last place for x in [-87.3, 88.3]; 0 below, e^88.3 above, NaN for NaN.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2; e^r = 1 + r + r^2 p(r), p interpolated at Chebyshev points.
inline F32 exp(F32 x) {
  constexpr float kLowest = -87.33F;
  constexpr float kHighest = 88.3F;
  const F32 clamped = min(broadcast(kHighest), max(broadcast(kLowest), x));
  const I32 n = round_to_i32(mul(clamped, broadcast(0x1.715476p+0F)));
  const F32 whole = to_f32(n);
  F32 r = minus_fma(whole, broadcast(0x1.62e4p-1F), clamped);
  r = minus_fma(whole, broadcast(0x1.7f7d1cp-20F), r);
  F32 p = fma(broadcast(0x1.6d10fcp-10F), r, broadcast(0x1.120b62p-7F));
  p = fma(p, r, broadcast(0x1.55551ap-5F));
  p = fma(p, r, broadcast(0x1.5554dep-3F));
  p = fma(p, r, broadcast(0.5F));
  p = add(fma(p, mul(r, r), r), broadcast(1.0F));
  const F32 result = mul(p, as_exponent(add(n, broadcast_i32(127))));
  return select_less(x, broadcast(kLowest), zero(), result);
}

/// x / (1 + e^-y): x times the logistic function of y.
inline F32 times_logistic(F32 x, F32 y) {
  return div(x, add(broadcast(1.0F), exp(sub(zero(), y))));
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
