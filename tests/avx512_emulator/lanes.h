#pragma once

// AVX-512 on CPUs without it, for tests: what engine/backend/cpu/vec_avx512_inl.h calls, behind the names that the
// compiler's header gives it. Each instruction is a function of its own, lane by lane as its manual says: slow to run,
// quick to compile.
#include <immintrin.h>

#include <cstdint>

namespace longship::avx512 {

struct Floats {
  __m256 low;
  __m256 high;
};
struct Integers {
  __m256i low;
  __m256i high;
};

Floats setzero_ps();
Floats set1_ps(float value);
Floats loadu_ps(const void* from);
Floats maskz_loadu_ps(__mmask16 mask, const void* from);
void storeu_ps(void* to, Floats a);
void mask_storeu_ps(void* to, __mmask16 mask, Floats a);
Floats mask_mov_ps(Floats otherwise, __mmask16 mask, Floats a);
__mmask16 cmp_ps_mask(Floats a, Floats b, int predicate);
Floats add_ps(Floats a, Floats b);
Floats sub_ps(Floats a, Floats b);
Floats mul_ps(Floats a, Floats b);
Floats div_ps(Floats a, Floats b);
Floats max_ps(Floats a, Floats b);
Floats min_ps(Floats a, Floats b);
Floats abs_ps(Floats a);
Floats fmadd_ps(Floats a, Floats b, Floats c);
Floats fmsub_ps(Floats a, Floats b, Floats c);
Floats fnmadd_ps(Floats a, Floats b, Floats c);

Integers setzero_si512();
Integers set1_epi32(int32_t value);
Integers set1_epi8(int8_t value);
Integers loadu_si512(const void* from);
void storeu_si512(void* to, Integers a);
Integers broadcast_i32x4(__m128i a);
Integers add_epi32(Integers a, Integers b);
Integers sub_epi8(Integers a, Integers b);
Integers max_epi32(Integers a, Integers b);
Integers and_si512(Integers a, Integers b);
Integers or_si512(Integers a, Integers b);
Integers xor_si512(Integers a, Integers b);
Integers ternarylogic_epi32(Integers a, Integers b, Integers c, int table);
Integers sll_epi32(Integers a, __m128i count);
Integers srl_epi32(Integers a, __m128i count);
Integers sra_epi32(Integers a, __m128i count);
Integers slli_epi32(Integers a, unsigned count);
Integers srli_epi32(Integers a, unsigned count);
Integers slli_epi16(Integers a, unsigned count);
Integers srli_epi16(Integers a, unsigned count);
Integers srl_epi64(Integers a, __m128i count);
Integers shuffle_epi8(Integers a, Integers order);
Integers unpacklo_epi8(Integers a, Integers b);
Integers unpackhi_epi8(Integers a, Integers b);
Integers unpacklo_epi16(Integers a, Integers b);
Integers unpackhi_epi16(Integers a, Integers b);
Floats shuffle_f32x4(Floats a, Floats b, int order);
Integers dpbusd_epi32(Integers sum, Integers a, Integers b);
Integers dpwssd_epi32(Integers sum, Integers a, Integers b);
Floats dpbf16_ps(Floats sum, Integers a, Integers b);

Floats cvtph_ps(__m256i a);
__m256i cvtps_ph(Floats a, int rounding);
Floats cvtepi32_ps(Integers a);
Integers cvtps_epi32(Floats a);
Integers cvtepi8_epi32(__m128i a);
Integers cvtepi8_epi16(__m256i a);
Integers cvtepu16_epi32(__m256i a);
__m128i cvtepi32_epi8(Integers a);
__m256i cvtepi32_epi16(Integers a);
__m256i cvtsepi32_epi16(Integers a);
__m128i cvtepi64_epi16(Integers a);
void mask_cvtepi32_storeu_epi16(void* to, __mmask16 mask, Integers a);
Floats castsi512_ps(Integers a);
Integers castps_si512(Floats a);
__m256 castps512_ps256(Floats a);
__m256i castsi512_si256(Integers a);
__m256 extractf32x8_ps(Floats a, int half);
__m256i extracti64x4_epi64(Integers a, int half);

}  // namespace longship::avx512
