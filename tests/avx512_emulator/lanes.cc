#include "tests/avx512_emulator/lanes.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>

namespace longship::avx512 {

namespace {

template <class T>
using Lanes = std::array<T, 64 / sizeof(T)>;

template <class T, class Vector>
Lanes<T> lanes(const Vector& a) {
  return std::bit_cast<Lanes<T>>(a);
}

template <class Vector, class T, std::size_t kCount>
Vector vector(const std::array<T, kCount>& lanes) {
  return std::bit_cast<Vector>(lanes);
}

// The vector of each lane's function(lane of a, ...).
template <class Vector, class T, class Function, class... Vectors>
Vector each(const Function& function, const Vectors&... a) {
  Lanes<T> out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<T>(function(lanes<T>(a)[i]...));
  }
  return vector<Vector>(out);
}

template <class Function, class... Vectors>
Floats each_float(const Function& function, const Vectors&... a) {
  return each<Floats, float>(function, a...);
}

template <class Function, class... Vectors>
Integers each_word(const Function& function, const Vectors&... a) {
  return each<Integers, uint32_t>(function, a...);
}

bool is_set(__mmask16 mask, std::size_t lane) {
  return ((static_cast<unsigned>(mask) >> lane) & 1U) != 0;
}

uint64_t low_word(__m128i count) {
  return static_cast<uint64_t>(_mm_cvtsi128_si64(count));
}

__m128 scalar(float a) {
  return _mm_set_ss(a);
}

float flushed(float a) {
  const auto bits = std::bit_cast<uint32_t>(a);
  return std::bit_cast<float>((bits & 0x7F800000U) == 0 ? bits & 0x80000000U : bits);
}

__m128 bf16(uint16_t half) {
  return scalar(flushed(std::bit_cast<float>(uint32_t{half} << 16U)));
}

template <class Narrow>
std::array<Narrow, 16> narrowed(const Integers& a) {
  std::array<Narrow, 16> out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<Narrow>(lanes<uint32_t>(a)[i]);
  }
  return out;
}

template <class Narrow, class Vector>
Integers widened(const Vector& a) {
  const auto from = std::bit_cast<std::array<Narrow, 16>>(a);
  Lanes<int32_t> out;
  std::copy(from.begin(), from.end(), out.begin());
  return vector<Integers>(out);
}

}  // namespace

Floats setzero_ps() {
  return set1_ps(0);
}

Floats set1_ps(float value) {
  Lanes<float> out;
  out.fill(value);
  return vector<Floats>(out);
}

Floats loadu_ps(const void* from) {
  Floats out;
  std::memcpy(&out, from, sizeof(out));
  return out;
}

Floats maskz_loadu_ps(__mmask16 mask, const void* from) {
  Lanes<float> out = {};
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (is_set(mask, i)) {
      std::memcpy(&out[i], static_cast<const float*>(from) + i, sizeof(float));
    }
  }
  return vector<Floats>(out);
}

void storeu_ps(void* to, Floats a) {
  std::memcpy(to, &a, sizeof(a));
}

void mask_storeu_ps(void* to, __mmask16 mask, Floats a) {
  const Lanes<float> from = lanes<float>(a);
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (is_set(mask, i)) {
      std::memcpy(static_cast<float*>(to) + i, &from[i], sizeof(float));
    }
  }
}

Floats mask_mov_ps(Floats otherwise, __mmask16 mask, Floats a) {
  Lanes<float> out = lanes<float>(otherwise);
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (is_set(mask, i)) {
      out[i] = lanes<float>(a)[i];
    }
  }
  return vector<Floats>(out);
}

__mmask16 cmp_ps_mask(Floats a, Floats b, int predicate) {
  if (predicate != _CMP_LT_OQ) {
    std::abort();  // the only one that the kernels use
  }
  unsigned mask = 0;
  for (unsigned i = 0; i < 16; ++i) {
    mask |= (lanes<float>(a)[i] < lanes<float>(b)[i] ? 1U : 0U) << i;
  }
  return static_cast<__mmask16>(mask);
}

Floats add_ps(Floats a, Floats b) {
  return each_float([](float x, float y) { return x + y; }, a, b);
}

Floats sub_ps(Floats a, Floats b) {
  return each_float([](float x, float y) { return x - y; }, a, b);
}

Floats mul_ps(Floats a, Floats b) {
  return each_float([](float x, float y) { return x * y; }, a, b);
}

Floats div_ps(Floats a, Floats b) {
  return each_float([](float x, float y) { return x / y; }, a, b);
}

// The second operand if either is NaN, or both are zero.
Floats max_ps(Floats a, Floats b) {
  return each_float([](float x, float y) { return x > y ? x : y; }, a, b);
}

Floats min_ps(Floats a, Floats b) {
  return each_float([](float x, float y) { return x < y ? x : y; }, a, b);
}

Floats abs_ps(Floats a) {
  return castsi512_ps(each_word([](uint32_t bits) { return bits & 0x7FFFFFFFU; }, castps_si512(a)));
}

Floats fmadd_ps(Floats a, Floats b, Floats c) {
  return each_float(
      [](float x, float y, float z) { return _mm_cvtss_f32(_mm_fmadd_ss(scalar(x), scalar(y), scalar(z))); }, a, b, c);
}

Floats fmsub_ps(Floats a, Floats b, Floats c) {
  return each_float(
      [](float x, float y, float z) { return _mm_cvtss_f32(_mm_fmsub_ss(scalar(x), scalar(y), scalar(z))); }, a, b, c);
}

Floats fnmadd_ps(Floats a, Floats b, Floats c) {
  return each_float(
      [](float x, float y, float z) { return _mm_cvtss_f32(_mm_fnmadd_ss(scalar(x), scalar(y), scalar(z))); }, a, b, c);
}

Integers setzero_si512() {
  return set1_epi32(0);
}

Integers set1_epi32(int32_t value) {
  Lanes<int32_t> out;
  out.fill(value);
  return vector<Integers>(out);
}

Integers set1_epi8(int8_t value) {
  Lanes<int8_t> out;
  out.fill(value);
  return vector<Integers>(out);
}

Integers loadu_si512(const void* from) {
  Integers out;
  std::memcpy(&out, from, sizeof(out));
  return out;
}

void storeu_si512(void* to, Integers a) {
  std::memcpy(to, &a, sizeof(a));
}

Integers broadcast_i32x4(__m128i a) {
  return vector<Integers>(std::array{a, a, a, a});
}

Integers add_epi32(Integers a, Integers b) {
  return each_word([](uint32_t x, uint32_t y) { return x + y; }, a, b);
}

Integers sub_epi8(Integers a, Integers b) {
  return each<Integers, uint8_t>([](unsigned x, unsigned y) { return x - y; }, a, b);
}

Integers max_epi32(Integers a, Integers b) {
  return each<Integers, int32_t>([](int32_t x, int32_t y) { return std::max(x, y); }, a, b);
}

Integers and_si512(Integers a, Integers b) {
  return each_word([](uint32_t x, uint32_t y) { return x & y; }, a, b);
}

Integers or_si512(Integers a, Integers b) {
  return each_word([](uint32_t x, uint32_t y) { return x | y; }, a, b);
}

Integers xor_si512(Integers a, Integers b) {
  return each_word([](uint32_t x, uint32_t y) { return x ^ y; }, a, b);
}

// A bit of the result is the bit of the table that the bits of a, b and c number, that of a the highest.
Integers ternarylogic_epi32(Integers a, Integers b, Integers c, int table) {
  return each_word(
      [table](uint32_t x, uint32_t y, uint32_t z) {
        uint32_t out = 0;
        for (unsigned entry = 0; entry < 8; ++entry) {
          if (((static_cast<unsigned>(table) >> entry) & 1U) != 0) {
            out |= ((entry & 4U) != 0 ? x : ~x) & ((entry & 2U) != 0 ? y : ~y) & ((entry & 1U) != 0 ? z : ~z);
          }
        }
        return out;
      },
      a, b, c);
}

Integers sll_epi32(Integers a, __m128i count) {
  const uint64_t bits = low_word(count);
  return each_word([bits](uint32_t x) { return bits > 31 ? 0 : x << bits; }, a);
}

Integers srl_epi32(Integers a, __m128i count) {
  const uint64_t bits = low_word(count);
  return each_word([bits](uint32_t x) { return bits > 31 ? 0 : x >> bits; }, a);
}

Integers sra_epi32(Integers a, __m128i count) {
  const uint64_t bits = std::min<uint64_t>(low_word(count), 31);
  return each<Integers, int32_t>([bits](int32_t x) { return x >> bits; }, a);
}

Integers slli_epi32(Integers a, unsigned count) {
  return sll_epi32(a, _mm_cvtsi32_si128(static_cast<int>(count)));
}

Integers srli_epi32(Integers a, unsigned count) {
  return srl_epi32(a, _mm_cvtsi32_si128(static_cast<int>(count)));
}

Integers slli_epi16(Integers a, unsigned count) {
  return each<Integers, uint16_t>([count](uint16_t x) { return count > 15 ? 0 : x << count; }, a);
}

Integers srli_epi16(Integers a, unsigned count) {
  return each<Integers, uint16_t>([count](uint16_t x) { return count > 15 ? 0 : x >> count; }, a);
}

// Bytes of each 16 are taken from the same 16, or are 0 where the order's byte is negative.
Integers shuffle_epi8(Integers a, Integers order) {
  Lanes<uint8_t> out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const unsigned from = lanes<uint8_t>(order)[i];
    out[i] = from >= 128 ? 0 : lanes<uint8_t>(a)[i / 16 * 16 + from % 16];
  }
  return vector<Integers>(out);
}

// Unsigned bytes of a times signed bytes of b; the sum wraps around.
Integers dpbusd_epi32(Integers sum, Integers a, Integers b) {
  Lanes<uint32_t> out = lanes<uint32_t>(sum);
  for (std::size_t i = 0; i < 64; ++i) {
    out[i / 4] += static_cast<uint32_t>(int{lanes<uint8_t>(a)[i]} * int{lanes<int8_t>(b)[i]});
  }
  return vector<Integers>(out);
}

Integers dpwssd_epi32(Integers sum, Integers a, Integers b) {
  Lanes<uint32_t> out = lanes<uint32_t>(sum);
  for (std::size_t i = 0; i < 32; ++i) {
    out[i / 2] += static_cast<uint32_t>(int{lanes<int16_t>(a)[i]} * int{lanes<int16_t>(b)[i]});
  }
  return vector<Integers>(out);
}

// Of each run of 16 bytes one half, a's and b's in turn.
template <class T>
Integers unpack(Integers a, Integers b, bool high) {
  constexpr std::size_t kRun = 16 / sizeof(T);
  Lanes<T> out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t from = i / kRun * kRun + (high ? kRun / 2 : 0) + i % kRun / 2;
    out[i] = i % 2 == 0 ? lanes<T>(a)[from] : lanes<T>(b)[from];
  }
  return vector<Integers>(out);
}

Integers unpacklo_epi8(Integers a, Integers b) {
  return unpack<uint8_t>(a, b, false);
}

Integers unpackhi_epi8(Integers a, Integers b) {
  return unpack<uint8_t>(a, b, true);
}

Integers unpacklo_epi16(Integers a, Integers b) {
  return unpack<uint16_t>(a, b, false);
}

Integers unpackhi_epi16(Integers a, Integers b) {
  return unpack<uint16_t>(a, b, true);
}

// Two quads of a, then two of b, each numbered by two bits of `order`.
Floats shuffle_f32x4(Floats a, Floats b, int order) {
  Lanes<float> out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t quad = (static_cast<unsigned>(order) >> (i / 4 * 2)) & 3U;
    out[i] = lanes<float>(i < 8 ? a : b)[quad * 4 + i % 4];
  }
  return vector<Floats>(out);
}

Integers srl_epi64(Integers a, __m128i count) {
  const uint64_t bits = low_word(count);
  return each<Integers, uint64_t>([bits](uint64_t x) { return bits > 63 ? 0 : x >> bits; }, a);
}

// Of each lane the odd products are added first, then the even ones. The mode for small numbers counts for nothing: it
// always takes them as zero.
Floats dpbf16_ps(Floats sum, Integers a, Integers b) {
  Lanes<float> out = lanes<float>(sum);
  for (std::size_t i = 0; i < out.size(); ++i) {
    for (const std::size_t half : {2 * i + 1, 2 * i}) {
      const __m128 product =
          _mm_fmadd_ss(bf16(lanes<uint16_t>(a)[half]), bf16(lanes<uint16_t>(b)[half]), scalar(flushed(out[i])));
      out[i] = flushed(_mm_cvtss_f32(product));
    }
  }
  return vector<Floats>(out);
}

Floats cvtph_ps(__m256i a) {
  const auto from = std::bit_cast<std::array<uint16_t, 16>>(a);
  Lanes<float> out;
  std::transform(from.begin(), from.end(), out.begin(), [](uint16_t half) { return _cvtsh_ss(half); });
  return vector<Floats>(out);
}

__m256i cvtps_ph(Floats a, int rounding) {
  if (rounding != _MM_FROUND_TO_NEAREST_INT) {
    std::abort();  // the only one that the kernels use
  }
  std::array<uint16_t, 16> out;
  const Lanes<float> from = lanes<float>(a);
  std::transform(from.begin(), from.end(), out.begin(),
                 [](float value) { return _cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT); });
  return vector<__m256i>(out);
}

Floats cvtepi32_ps(Integers a) {
  Lanes<float> out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<float>(lanes<int32_t>(a)[i]);
  }
  return vector<Floats>(out);
}

Integers cvtps_epi32(Floats a) {
  Lanes<int32_t> out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = _mm_cvtss_si32(scalar(lanes<float>(a)[i]));
  }
  return vector<Integers>(out);
}

Integers cvtepi8_epi32(__m128i a) {
  return widened<int8_t>(a);
}

Integers cvtepu16_epi32(__m256i a) {
  return widened<uint16_t>(a);
}

__m128i cvtepi32_epi8(Integers a) {
  return vector<__m128i>(narrowed<uint8_t>(a));
}

__m256i cvtepi32_epi16(Integers a) {
  return vector<__m256i>(narrowed<uint16_t>(a));
}

__m256i cvtsepi32_epi16(Integers a) {
  std::array<int16_t, 16> out{};
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<int16_t>(std::clamp(lanes<int32_t>(a)[i], int32_t{INT16_MIN}, int32_t{INT16_MAX}));
  }
  return vector<__m256i>(out);
}

__m128i cvtepi64_epi16(Integers a) {
  std::array<uint16_t, 8> out{};
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<uint16_t>(lanes<uint64_t>(a)[i]);
  }
  return vector<__m128i>(out);
}

Integers cvtepi8_epi16(__m256i a) {
  const auto from = std::bit_cast<std::array<int8_t, 32>>(a);
  Lanes<int16_t> out;
  std::ranges::copy(from, out.begin());
  return vector<Integers>(out);
}

void mask_cvtepi32_storeu_epi16(void* to, __mmask16 mask, Integers a) {
  const std::array<uint16_t, 16> from = narrowed<uint16_t>(a);
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (is_set(mask, i)) {
      std::memcpy(static_cast<uint16_t*>(to) + i, &from[i], sizeof(uint16_t));
    }
  }
}

Floats castsi512_ps(Integers a) {
  return std::bit_cast<Floats>(a);
}

Integers castps_si512(Floats a) {
  return std::bit_cast<Integers>(a);
}

__m256 castps512_ps256(Floats a) {
  return a.low;
}

__m256i castsi512_si256(Integers a) {
  return a.low;
}

__m256 extractf32x8_ps(Floats a, int half) {
  return half == 0 ? a.low : a.high;
}

__m256i extracti64x4_epi64(Integers a, int half) {
  return half == 0 ? a.low : a.high;
}

}  // namespace longship::avx512
