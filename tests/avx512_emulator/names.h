#pragma once

// Gives the functions of lanes.h the names that the kernels call.
#include "tests/avx512_emulator/lanes.h"

#define __m512 longship::avx512::Floats
#define __m512i longship::avx512::Integers
#define __m512bh longship::avx512::Integers
#undef _mm512_setzero_ps
#define _mm512_setzero_ps longship::avx512::setzero_ps
#undef _mm512_set1_ps
#define _mm512_set1_ps longship::avx512::set1_ps
#undef _mm512_loadu_ps
#define _mm512_loadu_ps longship::avx512::loadu_ps
#undef _mm512_maskz_loadu_ps
#define _mm512_maskz_loadu_ps longship::avx512::maskz_loadu_ps
#undef _mm512_storeu_ps
#define _mm512_storeu_ps longship::avx512::storeu_ps
#undef _mm512_mask_storeu_ps
#define _mm512_mask_storeu_ps longship::avx512::mask_storeu_ps
#undef _mm512_mask_mov_ps
#define _mm512_mask_mov_ps longship::avx512::mask_mov_ps
#undef _mm512_cmp_ps_mask
#define _mm512_cmp_ps_mask longship::avx512::cmp_ps_mask
#undef _mm512_add_ps
#define _mm512_add_ps longship::avx512::add_ps
#undef _mm512_sub_ps
#define _mm512_sub_ps longship::avx512::sub_ps
#undef _mm512_mul_ps
#define _mm512_mul_ps longship::avx512::mul_ps
#undef _mm512_div_ps
#define _mm512_div_ps longship::avx512::div_ps
#undef _mm512_max_ps
#define _mm512_max_ps longship::avx512::max_ps
#undef _mm512_min_ps
#define _mm512_min_ps longship::avx512::min_ps
#undef _mm512_abs_ps
#define _mm512_abs_ps longship::avx512::abs_ps
#undef _mm512_fmadd_ps
#define _mm512_fmadd_ps longship::avx512::fmadd_ps
#undef _mm512_fmsub_ps
#define _mm512_fmsub_ps longship::avx512::fmsub_ps
#undef _mm512_fnmadd_ps
#define _mm512_fnmadd_ps longship::avx512::fnmadd_ps
#undef _mm512_setzero_si512
#define _mm512_setzero_si512 longship::avx512::setzero_si512
#undef _mm512_set1_epi32
#define _mm512_set1_epi32 longship::avx512::set1_epi32
#undef _mm512_set1_epi8
#define _mm512_set1_epi8 longship::avx512::set1_epi8
#undef _mm512_loadu_si512
#define _mm512_loadu_si512 longship::avx512::loadu_si512
#undef _mm512_storeu_si512
#define _mm512_storeu_si512 longship::avx512::storeu_si512
#undef _mm512_broadcast_i32x4
#define _mm512_broadcast_i32x4 longship::avx512::broadcast_i32x4
#undef _mm512_add_epi32
#define _mm512_add_epi32 longship::avx512::add_epi32
#undef _mm512_sub_epi8
#define _mm512_sub_epi8 longship::avx512::sub_epi8
#undef _mm512_max_epi32
#define _mm512_max_epi32 longship::avx512::max_epi32
#undef _mm512_and_si512
#define _mm512_and_si512 longship::avx512::and_si512
#undef _mm512_or_si512
#define _mm512_or_si512 longship::avx512::or_si512
#undef _mm512_xor_si512
#define _mm512_xor_si512 longship::avx512::xor_si512
#undef _mm512_ternarylogic_epi32
#define _mm512_ternarylogic_epi32 longship::avx512::ternarylogic_epi32
#undef _mm512_sll_epi32
#define _mm512_sll_epi32 longship::avx512::sll_epi32
#undef _mm512_srl_epi32
#define _mm512_srl_epi32 longship::avx512::srl_epi32
#undef _mm512_sra_epi32
#define _mm512_sra_epi32 longship::avx512::sra_epi32
#undef _mm512_slli_epi32
#define _mm512_slli_epi32 longship::avx512::slli_epi32
#undef _mm512_srli_epi32
#define _mm512_srli_epi32 longship::avx512::srli_epi32
#undef _mm512_slli_epi16
#define _mm512_slli_epi16 longship::avx512::slli_epi16
#undef _mm512_srli_epi16
#define _mm512_srli_epi16 longship::avx512::srli_epi16
#undef _mm512_shuffle_epi8
#define _mm512_shuffle_epi8 longship::avx512::shuffle_epi8
#undef _mm512_dpbusd_epi32
#define _mm512_dpbusd_epi32 longship::avx512::dpbusd_epi32
#undef _mm512_dpwssd_epi32
#define _mm512_dpwssd_epi32 longship::avx512::dpwssd_epi32
#undef _mm512_srl_epi64
#define _mm512_srl_epi64 longship::avx512::srl_epi64
#undef _mm512_unpacklo_epi8
#define _mm512_unpacklo_epi8 longship::avx512::unpacklo_epi8
#undef _mm512_unpackhi_epi8
#define _mm512_unpackhi_epi8 longship::avx512::unpackhi_epi8
#undef _mm512_unpacklo_epi16
#define _mm512_unpacklo_epi16 longship::avx512::unpacklo_epi16
#undef _mm512_unpackhi_epi16
#define _mm512_unpackhi_epi16 longship::avx512::unpackhi_epi16
#undef _mm512_shuffle_f32x4
#define _mm512_shuffle_f32x4 longship::avx512::shuffle_f32x4
#undef _mm512_cvtepi8_epi16
#define _mm512_cvtepi8_epi16 longship::avx512::cvtepi8_epi16
#undef _mm512_cvtsepi32_epi16
#define _mm512_cvtsepi32_epi16 longship::avx512::cvtsepi32_epi16
#undef _mm512_cvtepi64_epi16
#define _mm512_cvtepi64_epi16 longship::avx512::cvtepi64_epi16
#undef _mm512_dpbf16_ps
#define _mm512_dpbf16_ps longship::avx512::dpbf16_ps
#undef _mm512_cvtph_ps
#define _mm512_cvtph_ps longship::avx512::cvtph_ps
#undef _mm512_cvtps_ph
#define _mm512_cvtps_ph longship::avx512::cvtps_ph
#undef _mm512_cvtepi32_ps
#define _mm512_cvtepi32_ps longship::avx512::cvtepi32_ps
#undef _mm512_cvtps_epi32
#define _mm512_cvtps_epi32 longship::avx512::cvtps_epi32
#undef _mm512_cvtepi8_epi32
#define _mm512_cvtepi8_epi32 longship::avx512::cvtepi8_epi32
#undef _mm512_cvtepu16_epi32
#define _mm512_cvtepu16_epi32 longship::avx512::cvtepu16_epi32
#undef _mm512_cvtepi32_epi8
#define _mm512_cvtepi32_epi8 longship::avx512::cvtepi32_epi8
#undef _mm512_cvtepi32_epi16
#define _mm512_cvtepi32_epi16 longship::avx512::cvtepi32_epi16
#undef _mm512_mask_cvtepi32_storeu_epi16
#define _mm512_mask_cvtepi32_storeu_epi16 longship::avx512::mask_cvtepi32_storeu_epi16
#undef _mm512_castsi512_ps
#define _mm512_castsi512_ps longship::avx512::castsi512_ps
#undef _mm512_castps_si512
#define _mm512_castps_si512 longship::avx512::castps_si512
#undef _mm512_castps512_ps256
#define _mm512_castps512_ps256 longship::avx512::castps512_ps256
#undef _mm512_castsi512_si256
#define _mm512_castsi512_si256 longship::avx512::castsi512_si256
#undef _mm512_extractf32x8_ps
#define _mm512_extractf32x8_ps longship::avx512::extractf32x8_ps
#undef _mm512_extracti64x4_epi64
#define _mm512_extracti64x4_epi64 longship::avx512::extracti64x4_epi64
