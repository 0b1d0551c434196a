// Vectors of 16 lanes on AVX2: two registers each. vec_avx512_inl.h states the same functions; both give the same bits.
#include <immintrin.h>

#include <cstdint>

#include "engine/weights/nibble_tables.h"

namespace longship::LONGSHIP_CPU_NAMESPACE {

struct F32 {  // 16 floats
  __m256 low;
  __m256 high;
};
struct I32 {  // 16 integers
  __m256i low;
  __m256i high;
};
using Bytes = I32;  // 64 bytes, 4 a lane

/// One of the registers of a vector.
using Part = __m256i;
constexpr int kParts = 2;

constexpr int kRegisters = 8;
/// dot_u8 and dot_signed take the 128 off by themselves.
constexpr bool kDotU8IsBiased = false;
/// Integers below 2^6 are multiplied with few sums under way: low nibbles first, then high ones.
constexpr bool kLowNibblesFirst = true;
/// Offsets of integers are taken off behind a block's products: before, their sums would stand in registers.
constexpr bool kOffsetsLast = true;

inline F32 zero() {
  return {_mm256_setzero_ps(), _mm256_setzero_ps()};
}
inline F32 broadcast(float value) {
  return {_mm256_set1_ps(value), _mm256_set1_ps(value)};
}
inline F32 load(const float* from) {
  return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)};
}
inline void store(float* to, F32 value) {
  _mm256_storeu_ps(to, value.low);
  _mm256_storeu_ps(to + 8, value.high);
}

/// All ones in lanes below `lanes` of the 8 lanes from `first` on.
inline __m256i first_lanes(int64_t lanes, int first) {
  const __m256i index = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(first));
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(lanes)), index);
}
/// The first `lanes` (0 to 16) lanes from memory, the others zero; no byte beyond them is touched.
inline F32 load_n(const float* from, int64_t lanes) {
  if (__builtin_constant_p(lanes) && lanes == 16) return load(from);
  return {_mm256_maskload_ps(from, first_lanes(lanes, 0)), _mm256_maskload_ps(from + 8, first_lanes(lanes, 8))};
}
inline void store_n(float* to, F32 value, int64_t lanes) {
  if (__builtin_constant_p(lanes) && lanes == 16) return store(to, value);
  _mm256_maskstore_ps(to, first_lanes(lanes, 0), value.low);
  _mm256_maskstore_ps(to + 8, first_lanes(lanes, 8), value.high);
}
inline __m256 select_lanes(int64_t begin, int64_t end, int first, __m256 inside, __m256 outside) {
  const __m256i mask = _mm256_andnot_si256(first_lanes(begin, first), first_lanes(end, first));
  return _mm256_blendv_ps(outside, inside, _mm256_castsi256_ps(mask));
}
/// `inside` in lanes [begin, end), `outside` elsewhere.
inline F32 select_lanes(int64_t begin, int64_t end, F32 inside, F32 outside) {
  return {select_lanes(begin, end, 0, inside.low, outside.low), select_lanes(begin, end, 8, inside.high, outside.high)};
}

inline __m256 load_f16_half(const uint16_t* from) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline F32 load_f16(const uint16_t* from) {
  return {load_f16_half(from), load_f16_half(from + 8)};
}
/// The values from[number], from[number + apart], ...; number < apart. Nothing behind from[16 apart - 1] is touched.
inline F32 load_f16_apart(const uint16_t* from, int64_t apart, int64_t number) {
  if (apart == 4) {
    const auto* quads = reinterpret_cast<const __m256i*>(from);
    const __m128i bits = _mm_cvtsi32_si128(static_cast<int>(16 * number));
    const __m256i low = _mm256_set1_epi64x(0xFFFF);
    const auto four = [&](int i) {
      return _mm256_and_si256(_mm256_srl_epi64(_mm256_loadu_si256(quads + i), bits), low);
    };
    // Values 0 1 4 5 8 9 12 13, then 2 3 6 7 10 11 14 15.
    const __m256i mixed =
        _mm256_packus_epi32(_mm256_packus_epi32(four(0), four(1)), _mm256_packus_epi32(four(2), four(3)));
    const __m256i all = _mm256_permutevar8x32_epi32(mixed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    return {_mm256_cvtph_ps(_mm256_castsi256_si128(all)), _mm256_cvtph_ps(_mm256_extracti128_si256(all, 1))};
  }
  alignas(32) uint16_t values[16];
  for (int64_t i = 0; i < 16; ++i) values[i] = from[i * apart + number];
  return load_f16(values);
}
inline __m256 load_bf16_half(const uint16_t* from) {
  const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}
inline F32 load_bf16(const uint16_t* from) {
  return {load_bf16_half(from), load_bf16_half(from + 8)};
}
inline __m256 load_i8_half(const int8_t* from) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
}
inline F32 load_i8(const int8_t* from) {
  return {load_i8_half(from), load_i8_half(from + 8)};
}
inline F32 broadcast_f16(uint16_t value) {
  return {_mm256_set1_ps(_cvtsh_ss(value)), _mm256_set1_ps(_cvtsh_ss(value))};
}
inline void store_f16(uint16_t* to, F32 value) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_cvtps_ph(value.low, _MM_FROUND_TO_NEAREST_INT));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 8), _mm256_cvtps_ph(value.high, _MM_FROUND_TO_NEAREST_INT));
}

inline F32 add(F32 a, F32 b) {
  return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
inline F32 sub(F32 a, F32 b) {
  return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}
inline F32 mul(F32 a, F32 b) {
  return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
inline F32 div(F32 a, F32 b) {
  return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}
/// a b + c
inline F32 fma(F32 a, F32 b, F32 c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
/// a b - c
inline F32 fma_minus(F32 a, F32 b, F32 c) {
  return {_mm256_fmsub_ps(a.low, b.low, c.low), _mm256_fmsub_ps(a.high, b.high, c.high)};
}
/// c - a b
inline F32 minus_fma(F32 a, F32 b, F32 c) {
  return {_mm256_fnmadd_ps(a.low, b.low, c.low), _mm256_fnmadd_ps(a.high, b.high, c.high)};
}
inline F32 max(F32 a, F32 b) {
  return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}
inline F32 min(F32 a, F32 b) {
  return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}
inline F32 abs(F32 a) {
  const __m256 sign = _mm256_set1_ps(-0.0F);
  return {_mm256_andnot_ps(sign, a.low), _mm256_andnot_ps(sign, a.high)};
}
/// x where a < b (false for NaN), else y.
inline F32 select_less(F32 a, F32 b, F32 x, F32 y) {
  return {_mm256_blendv_ps(y.low, x.low, _mm256_cmp_ps(a.low, b.low, _CMP_LT_OQ)),
          _mm256_blendv_ps(y.high, x.high, _mm256_cmp_ps(a.high, b.high, _CMP_LT_OQ))};
}
/// Lanes 0 to 7 and lanes 8 to 15.
inline __m256 low_half(F32 a) {
  return a.low;
}
inline __m256 high_half(F32 a) {
  return a.high;
}

inline I32 zero_i32() {
  return {_mm256_setzero_si256(), _mm256_setzero_si256()};
}
inline I32 broadcast_i32(int32_t value) {
  return {_mm256_set1_epi32(value), _mm256_set1_epi32(value)};
}
inline I32 add(I32 a, I32 b) {
  return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}
inline I32 bits_and(I32 a, I32 b) {
  return {_mm256_and_si256(a.low, b.low), _mm256_and_si256(a.high, b.high)};
}
inline I32 bits_or(I32 a, I32 b) {
  return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
}
inline I32 bits_xor(I32 a, I32 b) {
  return {_mm256_xor_si256(a.low, b.low), _mm256_xor_si256(a.high, b.high)};
}
inline I32 shift_left(I32 a, int bits) {
  const __m128i count = _mm_cvtsi32_si128(bits);
  return {_mm256_sll_epi32(a.low, count), _mm256_sll_epi32(a.high, count)};
}
inline I32 shift_right(I32 a, int bits) {
  const __m128i count = _mm_cvtsi32_si128(bits);
  return {_mm256_srl_epi32(a.low, count), _mm256_srl_epi32(a.high, count)};
}
inline I32 shift_right_signed(I32 a, int bits) {
  const __m128i count = _mm_cvtsi32_si128(bits);
  return {_mm256_sra_epi32(a.low, count), _mm256_sra_epi32(a.high, count)};
}
inline I32 max(I32 a, I32 b) {
  return {_mm256_max_epi32(a.low, b.low), _mm256_max_epi32(a.high, b.high)};
}
/// The bits of the floats.
inline I32 as_bits(F32 a) {
  return {_mm256_castps_si256(a.low), _mm256_castps_si256(a.high)};
}
inline F32 as_floats(I32 a) {
  return {_mm256_castsi256_ps(a.low), _mm256_castsi256_ps(a.high)};
}
/// The bf16 values in the low, or in the high, 16 bits of the lanes.
inline F32 even_halves(I32 a) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(a.low, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(a.high, 16))};
}
inline F32 odd_halves(I32 a) {
  const __m256i mask = _mm256_set1_epi32(static_cast<int>(0xFFFF0000U));
  return {_mm256_castsi256_ps(_mm256_and_si256(a.low, mask)), _mm256_castsi256_ps(_mm256_and_si256(a.high, mask))};
}
inline I32 round_to_i32(F32 a) {
  return {_mm256_cvtps_epi32(a.low), _mm256_cvtps_epi32(a.high)};
}
inline F32 to_f32(I32 a) {
  return {_mm256_cvtepi32_ps(a.low), _mm256_cvtepi32_ps(a.high)};
}
/// Bits `a` shifted left by 23, as floats: the exponent field.
inline F32 as_exponent(I32 a) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(a.low, 23)), _mm256_castsi256_ps(_mm256_slli_epi32(a.high, 23))};
}
inline __m256i low_half(I32 a) {
  return a.low;
}
inline __m256i high_half(I32 a) {
  return a.high;
}
inline Part first_part(I32 a) {
  return a.low;
}
inline I32 all_parts(Part a) {
  return {a, a};
}
inline void set_part(I32& a, int part, Part value) {
  (part == 0 ? a.low : a.high) = value;
}
/// The 16 lanes, each within int8.
inline void store_i8(int8_t* to, I32 a) {
  // packs works within 128-bit lanes: words come out as low 0-3, high 0-3, low 4-7, high 4-7.
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a.low, a.high), 0xD8);
  const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
}

/// The 16 lanes, what is beyond int16 as its nearest number.
inline void store_i16(int16_t* to, I32 a) {
  const __m256i words = _mm256_packs_epi32(a.low, a.high);  // low 0-3, high 0-3, low 4-7, high 4-7
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_permute4x64_epi64(words, 0xD8));
}

/// Lanes as four quads: quad i of vector j becomes quad j of vector i.
inline void transpose_quads(F32 (&v)[4]) {
  const F32 low01 = {_mm256_permute2f128_ps(v[0].low, v[1].low, 0x20),
                     _mm256_permute2f128_ps(v[2].low, v[3].low, 0x20)};
  const F32 high01 = {_mm256_permute2f128_ps(v[0].low, v[1].low, 0x31),
                      _mm256_permute2f128_ps(v[2].low, v[3].low, 0x31)};
  const F32 low23 = {_mm256_permute2f128_ps(v[0].high, v[1].high, 0x20),
                     _mm256_permute2f128_ps(v[2].high, v[3].high, 0x20)};
  const F32 high23 = {_mm256_permute2f128_ps(v[0].high, v[1].high, 0x31),
                      _mm256_permute2f128_ps(v[2].high, v[3].high, 0x31)};
  v[0] = low01;
  v[1] = high01;
  v[2] = low23;
  v[3] = high23;
}
/// Quads of both vectors in turn: 0 of v[0], 0 of v[1], 1 of v[0] and so on.
inline void interleave_quads(F32 (&v)[2]) {
  const F32 low = {_mm256_permute2f128_ps(v[0].low, v[1].low, 0x20), _mm256_permute2f128_ps(v[0].low, v[1].low, 0x31)};
  v[1] = {_mm256_permute2f128_ps(v[0].high, v[1].high, 0x20), _mm256_permute2f128_ps(v[0].high, v[1].high, 0x31)};
  v[0] = low;
}

inline Bytes load_bytes(const void* from) {
  const auto* halves = static_cast<const __m256i*>(from);
  return {_mm256_loadu_si256(halves), _mm256_loadu_si256(halves + 1)};
}
inline void store_bytes(void* to, Bytes a) {
  auto* halves = static_cast<__m256i*>(to);
  _mm256_storeu_si256(halves, a.low);
  _mm256_storeu_si256(halves + 1, a.high);
}
/// The low halves of the 16 words, then the high ones.
inline void store_words(void* to, I32 a) {
  const __m256i even = _mm256_set1_epi32(0xFFFF);
  auto* halves = static_cast<__m256i*>(to);
  const __m256i low = _mm256_packus_epi32(_mm256_and_si256(a.low, even), _mm256_and_si256(a.high, even));
  const __m256i high = _mm256_packus_epi32(_mm256_srli_epi32(a.low, 16), _mm256_srli_epi32(a.high, 16));
  _mm256_storeu_si256(halves, _mm256_permute4x64_epi64(low, 0xD8));
  _mm256_storeu_si256(halves + 1, _mm256_permute4x64_epi64(high, 0xD8));
}
inline Bytes low_nibbles(Bytes a) {
  const __m256i mask = _mm256_set1_epi8(15);
  return {_mm256_and_si256(a.low, mask), _mm256_and_si256(a.high, mask)};
}
inline Bytes high_nibbles(Bytes a) {
  const __m256i mask = _mm256_set1_epi8(15);
  return {_mm256_and_si256(_mm256_srli_epi16(a.low, 4), mask), _mm256_and_si256(_mm256_srli_epi16(a.high, 4), mask)};
}
/// `value` + the kCount bits of `bits` from bit `first` of each byte on, x 16.
template <int kCount>
inline __m256i with_bits(__m256i value, __m256i bits, int first) {
  const __m256i moved = first <= 4 ? _mm256_slli_epi16(bits, 4 - first) : _mm256_srli_epi16(bits, first - 4);
  return _mm256_or_si256(value, _mm256_and_si256(moved, _mm256_set1_epi8(kCount == 1 ? 0x10 : 0x30)));
}
template <int kCount>
inline Bytes with_bits(Bytes value, Bytes bits, int first) {
  return {with_bits<kCount>(value.low, bits.low, first), with_bits<kCount>(value.high, bits.high, first)};
}
/// The entry of the table that each byte numbers.
inline Bytes look_up(const uint8_t (&table)[16], Bytes nibbles) {
  const __m256i entries = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
  return {_mm256_shuffle_epi8(entries, nibbles.low), _mm256_shuffle_epi8(entries, nibbles.high)};
}
inline Part load_part(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}
/// Bytes of the same column of four rows of 64, in one lane: quad i of out[j] has the columns 16 i + 8 half + 4 j to
/// 16 i + 8 half + 4 j + 3. Here of a part of each row.
inline void interleave_half(const Part (&rows)[4], int half, Part* out) {
  const auto bytes = [&](Part a, Part b) {
    return half == 0 ? _mm256_unpacklo_epi8(a, b) : _mm256_unpackhi_epi8(a, b);
  };
  const Part rows01 = bytes(rows[0], rows[1]);
  const Part rows23 = bytes(rows[2], rows[3]);
  out[0] = _mm256_unpacklo_epi16(rows01, rows23);
  out[1] = _mm256_unpackhi_epi16(rows01, rows23);
}
/// As many bytes as a part has words, as words.
inline Part load_i8_words(const void* from) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(static_cast<const __m128i*>(from)));
}
/// Words of the same column of two rows of 32, in one lane: quad i of rows[j] has the columns 8 i + 4 j to 8 i + 4 j
/// + 3. Here of a part of each row.
inline void interleave_words(Part (&rows)[2]) {
  const Part low = _mm256_unpacklo_epi16(rows[0], rows[1]);
  rows[1] = _mm256_unpackhi_epi16(rows[0], rows[1]);
  rows[0] = low;
}
/// sum + the 2 products of words of each lane, which must not be -2^15 all.
inline Part dot_words(Part sum, Part a, Part b) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
}
/// 4 bytes from memory in every lane.
inline Bytes broadcast_bytes(const void* from) {
  int32_t word;
  __builtin_memcpy(&word, from, sizeof(word));
  return broadcast_i32(word);
}

/// Signed bytes as dot_signed() takes them.
inline Part signed_weights(Part w) {
  return w;
}
/// sum + the 4 products of each lane; see kDotU8IsBiased. x >= -127.
// Pairs of products stay below 2^15, so that maddubs never saturates: 2 x 128 x 127.
inline Part dot_signed(Part sum, Part w, Part x) {
  const Part pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
inline Part dot_u8(Part sum, Part w, Part x) {
  return dot_signed(sum, _mm256_xor_si256(w, _mm256_set1_epi8(-128)), x);
}
/// sum + the 4 products of each lane, w unsigned and below 2^6, x signed and >= -127, in three steps: the first
/// products, up to most_added(bits) - 1 more, the sum. Here two words of a lane take the products for as long as they
/// fit.
constexpr int most_added(int bits) {
  return 32767 / (2 * ((1 << bits) - 1) * 127);
}
inline I32 first_products(I32 /*sum*/, Bytes w, Bytes x) {
  return {_mm256_maddubs_epi16(w.low, x.low), _mm256_maddubs_epi16(w.high, x.high)};
}
inline I32 add_products(I32 words, Bytes w, Bytes x) {
  const I32 more = first_products(words, w, x);
  return {_mm256_add_epi16(words.low, more.low), _mm256_add_epi16(words.high, more.high)};
}
inline I32 fold_products(I32 sum, I32 words) {
  const __m256i ones = _mm256_set1_epi16(1);
  return {_mm256_add_epi32(sum.low, _mm256_madd_epi16(words.low, ones)),
          _mm256_add_epi32(sum.high, _mm256_madd_epi16(words.high, ones))};
}
/// sum + the 4 products of each lane, for any unsigned w that stand for w - 128; see kDotU8IsBiased. x >= -127.
inline I32 dot_u8(I32 sum, Bytes w, Bytes x) {
  return {dot_u8(sum.low, w.low, x.low), dot_u8(sum.high, w.high, x.high)};
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
