// Vectors of 16 lanes on AVX-512. vec_avx2_inl.h states the same functions; both give the same bits.
#include <immintrin.h>

#include <cstdint>

#include "engine/weights/nibble_tables.h"

namespace longship::LONGSHIP_CPU_NAMESPACE {

using F32 = __m512;     // 16 floats
using I32 = __m512i;    // 16 integers
using Bytes = __m512i;  // 64 bytes, 4 a lane
/// One of the registers of a vector.
using Part = __m512i;
constexpr int kParts = 1;

constexpr int kRegisters = 32;
/// dot_u8 and dot_signed add (w + 128) x: the caller starts from -128 times the sum of x.
constexpr bool kDotU8IsBiased = true;
/// Low and high nibbles are multiplied in turn.
constexpr bool kLowNibblesFirst = false;
/// Offsets of integers are what a block's products are added to.
constexpr bool kOffsetsLast = false;

inline F32 zero() {
  return _mm512_setzero_ps();
}
inline F32 broadcast(float value) {
  return _mm512_set1_ps(value);
}
inline F32 load(const float* from) {
  return _mm512_loadu_ps(from);
}
inline void store(float* to, F32 value) {
  _mm512_storeu_ps(to, value);
}

inline __mmask16 first_lanes(int64_t lanes) {
  return static_cast<__mmask16>((1U << lanes) - 1U);
}
/// The first `lanes` (0 to 16) lanes from memory, the others zero; no byte beyond them is touched.
inline F32 load_n(const float* from, int64_t lanes) {
  if (__builtin_constant_p(lanes) && lanes == 16) return load(from);
  return _mm512_maskz_loadu_ps(first_lanes(lanes), from);
}
inline void store_n(float* to, F32 value, int64_t lanes) {
  if (__builtin_constant_p(lanes) && lanes == 16) return store(to, value);
  _mm512_mask_storeu_ps(to, first_lanes(lanes), value);
}
/// `inside` in lanes [begin, end), `outside` elsewhere.
inline F32 select_lanes(int64_t begin, int64_t end, F32 inside, F32 outside) {
  return _mm512_mask_mov_ps(outside, static_cast<__mmask16>(first_lanes(end) & ~first_lanes(begin)), inside);
}

inline F32 load_f16(const uint16_t* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
/// The values from[number], from[number + apart], ...; number < apart. Nothing behind from[16 apart - 1] is touched.
inline F32 load_f16_apart(const uint16_t* from, int64_t apart, int64_t number) {
  if (apart == 1) return load_f16(from);
  if (apart == 2) {
    const __m512i pairs = _mm512_srl_epi32(_mm512_loadu_si512(from), _mm_cvtsi32_si128(static_cast<int>(16 * number)));
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(pairs));
  }
  if (apart == 4) {
    const __m128i bits = _mm_cvtsi32_si128(static_cast<int>(16 * number));
    const __m128i low = _mm512_cvtepi64_epi16(_mm512_srl_epi64(_mm512_loadu_si512(from), bits));
    const __m128i high = _mm512_cvtepi64_epi16(_mm512_srl_epi64(_mm512_loadu_si512(from + 32), bits));
    return _mm512_cvtph_ps(_mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1));
  }
  alignas(32) uint16_t values[16];
  for (int64_t i = 0; i < 16; ++i) values[i] = from[i * apart + number];
  return load_f16(values);
}
inline F32 load_bf16(const uint16_t* from) {
  const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}
inline F32 load_i8(const int8_t* from) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
}
inline F32 broadcast_f16(uint16_t value) {
  return _mm512_set1_ps(_cvtsh_ss(value));
}
inline void store_f16(uint16_t* to, F32 value) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
}

inline F32 add(F32 a, F32 b) {
  return _mm512_add_ps(a, b);
}
inline F32 sub(F32 a, F32 b) {
  return _mm512_sub_ps(a, b);
}
inline F32 mul(F32 a, F32 b) {
  return _mm512_mul_ps(a, b);
}
inline F32 div(F32 a, F32 b) {
  return _mm512_div_ps(a, b);
}
inline F32 fma(F32 a, F32 b, F32 c) {
  return _mm512_fmadd_ps(a, b, c);
}  ///< a b + c
inline F32 fma_minus(F32 a, F32 b, F32 c) {
  return _mm512_fmsub_ps(a, b, c);
}  ///< a b - c
inline F32 minus_fma(F32 a, F32 b, F32 c) {
  return _mm512_fnmadd_ps(a, b, c);
}  ///< c - a b
inline F32 max(F32 a, F32 b) {
  return _mm512_max_ps(a, b);
}
inline F32 min(F32 a, F32 b) {
  return _mm512_min_ps(a, b);
}
inline F32 abs(F32 a) {
  return _mm512_abs_ps(a);
}
/// x where a < b (false for NaN), else y.
inline F32 select_less(F32 a, F32 b, F32 x, F32 y) {
  return _mm512_mask_mov_ps(y, _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), x);
}
/// Lanes 0 to 7 and lanes 8 to 15.
inline __m256 low_half(F32 a) {
  return _mm512_castps512_ps256(a);
}
inline __m256 high_half(F32 a) {
  return _mm512_extractf32x8_ps(a, 1);
}

inline I32 zero_i32() {
  return _mm512_setzero_si512();
}
inline I32 broadcast_i32(int32_t value) {
  return _mm512_set1_epi32(value);
}
inline I32 add(I32 a, I32 b) {
  return _mm512_add_epi32(a, b);
}
inline I32 bits_and(I32 a, I32 b) {
  return _mm512_and_si512(a, b);
}
inline I32 bits_or(I32 a, I32 b) {
  return _mm512_or_si512(a, b);
}
inline I32 bits_xor(I32 a, I32 b) {
  return _mm512_xor_si512(a, b);
}
inline I32 shift_left(I32 a, int bits) {
  return _mm512_sll_epi32(a, _mm_cvtsi32_si128(bits));
}
inline I32 shift_right(I32 a, int bits) {
  return _mm512_srl_epi32(a, _mm_cvtsi32_si128(bits));
}
inline I32 shift_right_signed(I32 a, int bits) {
  return _mm512_sra_epi32(a, _mm_cvtsi32_si128(bits));
}
inline I32 max(I32 a, I32 b) {
  return _mm512_max_epi32(a, b);
}
/// The bits of the floats.
inline I32 as_bits(F32 a) {
  return _mm512_castps_si512(a);
}
inline F32 as_floats(I32 a) {
  return _mm512_castsi512_ps(a);
}
/// The bf16 values in the low, or in the high, 16 bits of the lanes.
inline F32 even_halves(I32 a) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(a, 16));
}
inline F32 odd_halves(I32 a) {
  return _mm512_castsi512_ps(_mm512_and_si512(a, _mm512_set1_epi32(static_cast<int>(0xFFFF0000U))));
}
inline I32 round_to_i32(F32 a) {
  return _mm512_cvtps_epi32(a);
}
inline F32 to_f32(I32 a) {
  return _mm512_cvtepi32_ps(a);
}
/// Bits `a` shifted left by 23, as floats: the exponent field.
inline F32 as_exponent(I32 a) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(a, 23));
}
inline __m256i low_half(I32 a) {
  return _mm512_castsi512_si256(a);
}
inline __m256i high_half(I32 a) {
  return _mm512_extracti64x4_epi64(a, 1);
}
/// The 16 lanes, each within int8.
inline void store_i8(int8_t* to, I32 a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(a));
}

/// The 16 lanes, what is beyond int16 as its nearest number.
inline void store_i16(int16_t* to, I32 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtsepi32_epi16(a));
}

/// Lanes as four quads: quad i of vector j becomes quad j of vector i.
inline void transpose_quads(F32 (&v)[4]) {
  const F32 low01 = _mm512_shuffle_f32x4(v[0], v[1], 0x44);
  const F32 high01 = _mm512_shuffle_f32x4(v[0], v[1], 0xEE);
  const F32 low23 = _mm512_shuffle_f32x4(v[2], v[3], 0x44);
  const F32 high23 = _mm512_shuffle_f32x4(v[2], v[3], 0xEE);
  v[0] = _mm512_shuffle_f32x4(low01, low23, 0x88);
  v[1] = _mm512_shuffle_f32x4(low01, low23, 0xDD);
  v[2] = _mm512_shuffle_f32x4(high01, high23, 0x88);
  v[3] = _mm512_shuffle_f32x4(high01, high23, 0xDD);
}
/// Quads of both vectors in turn: 0 of v[0], 0 of v[1], 1 of v[0] and so on.
inline void interleave_quads(F32 (&v)[2]) {
  const F32 low = _mm512_shuffle_f32x4(v[0], v[1], 0x44);
  const F32 high = _mm512_shuffle_f32x4(v[0], v[1], 0xEE);
  v[0] = _mm512_shuffle_f32x4(low, low, 0xD8);
  v[1] = _mm512_shuffle_f32x4(high, high, 0xD8);
}

inline Bytes load_bytes(const void* from) {
  return _mm512_loadu_si512(from);
}
inline void store_bytes(void* to, Bytes a) {
  _mm512_storeu_si512(to, a);
}
/// The low halves of the 16 words, then the high ones.
inline void store_words(void* to, I32 a) {
  auto* halves = static_cast<__m256i*>(to);
  _mm256_storeu_si256(halves, _mm512_cvtepi32_epi16(a));
  _mm256_storeu_si256(halves + 1, _mm512_cvtepi32_epi16(_mm512_srli_epi32(a, 16)));
}
inline Bytes sub_bytes(Bytes a, Bytes b) {
  return _mm512_sub_epi8(a, b);
}
inline Bytes low_nibbles(Bytes a) {
  return _mm512_and_si512(a, _mm512_set1_epi8(15));
}
inline Bytes high_nibbles(Bytes a) {
  return _mm512_and_si512(_mm512_srli_epi16(a, 4), _mm512_set1_epi8(15));
}
/// `value` + the kCount bits of `bits` from bit `first` of each byte on, x 16.
template <int kCount>
inline Bytes with_bits(Bytes value, Bytes bits, int first) {
  const Bytes moved = first <= 4 ? _mm512_slli_epi16(bits, static_cast<unsigned>(4 - first))
                                 : _mm512_srli_epi16(bits, static_cast<unsigned>(first - 4));
  const Bytes mask = _mm512_set1_epi8(kCount == 1 ? 0x10 : 0x30);
  return _mm512_ternarylogic_epi32(value, moved, mask, 0xF8);  // value | (moved & mask)
}
/// The entry of the table that each byte numbers.
inline Bytes look_up(const uint8_t (&table)[16], Bytes nibbles) {
  const __m128i entries = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
  return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(entries), nibbles);
}
inline Part first_part(I32 a) {
  return a;
}
inline I32 all_parts(Part a) {
  return a;
}
inline void set_part(I32& a, int /*part*/, Part value) {
  a = value;
}
inline Part load_part(const void* from) {
  return _mm512_loadu_si512(from);
}
/// Bytes of the same column of four rows of 64, in one lane: quad i of out[j] has the columns 16 i + 8 half + 4 j to
/// 16 i + 8 half + 4 j + 3.
inline void interleave_half(const Part (&rows)[4], int half, Part* out) {
  const auto bytes = [&](Part a, Part b) {
    return half == 0 ? _mm512_unpacklo_epi8(a, b) : _mm512_unpackhi_epi8(a, b);
  };
  const Part rows01 = bytes(rows[0], rows[1]);
  const Part rows23 = bytes(rows[2], rows[3]);
  out[0] = _mm512_unpacklo_epi16(rows01, rows23);
  out[1] = _mm512_unpackhi_epi16(rows01, rows23);
}
/// As many bytes as a part has words, as words.
inline Part load_i8_words(const void* from) {
  return _mm512_cvtepi8_epi16(_mm256_loadu_si256(static_cast<const __m256i*>(from)));
}
/// Words of the same column of two rows of 32, in one lane: quad i of rows[j] has the columns 8 i + 4 j to 8 i + 4 j
/// + 3.
inline void interleave_words(Part (&rows)[2]) {
  const Part low = _mm512_unpacklo_epi16(rows[0], rows[1]);
  rows[1] = _mm512_unpackhi_epi16(rows[0], rows[1]);
  rows[0] = low;
}
/// sum + the 2 products of words of each lane, which must not be -2^15 all.
inline Part dot_words(Part sum, Part a, Part b) {
  return _mm512_dpwssd_epi32(sum, a, b);
}
/// 4 bytes from memory in every lane.
inline Bytes broadcast_bytes(const void* from) {
  int32_t word;
  __builtin_memcpy(&word, from, sizeof(word));
  return _mm512_set1_epi32(word);
}
/// sum + the 4 products of each lane, w unsigned and below 2^6, x signed, in three steps: the first products, up to
/// most_added(bits) - 1 more, the sum. One instruction adds four products here, so that the last has nothing to do.
constexpr int most_added(int /*bits*/) {
  return 8;
}
inline I32 first_products(I32 sum, Bytes w, Bytes x) {
  return _mm512_dpbusd_epi32(sum, w, x);
}
inline I32 add_products(I32 sum, Bytes w, Bytes x) {
  return _mm512_dpbusd_epi32(sum, w, x);
}
inline I32 fold_products(I32 /*before*/, I32 sum) {
  return sum;
}
/// sum + the 4 products of each lane, for any unsigned w that stand for w - 128; see kDotU8IsBiased. x >= -127.
inline I32 dot_u8(I32 sum, Bytes w, Bytes x) {
  return _mm512_dpbusd_epi32(sum, w, x);
}
/// Signed bytes as dot_signed() takes them.
inline Part signed_weights(Part w) {
  return _mm512_xor_si512(w, _mm512_set1_epi8(-128));
}
/// sum + the 4 products of each lane; see kDotU8IsBiased. x >= -127.
inline Part dot_signed(Part sum, Part w, Part x) {
  return dot_u8(sum, w, x);
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
