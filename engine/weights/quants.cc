#include "engine/weights/quants.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>

#include "core/error.h"
#include "core/half.h"
#include "engine/weights/blocks.h"
#include "engine/weights/nibble_tables.h"

namespace longship {

namespace {

uint32_t byte_at(const std::byte* at) {
  return static_cast<uint32_t>(*at);
}

float half_at(const std::byte* at) {
  uint16_t bits;
  std::memcpy(&bits, at, sizeof(bits));
  return f16_to_f32(bits);
}

void set_scale(float scale, Quants& out) {
  out.scale[0] = out.scale[1] = scale;
}

void set_minimum(float minimum, Quants& out) {
  out.minimum[0] = out.minimum[1] = minimum;
}

// Four integers a word.
uint32_t word_at(const std::byte* at) {
  uint32_t word;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

void put_word(int index, uint32_t word, Quants& out) {
  std::memcpy(out.quants + 4 * index, &word, sizeof(word));
}

uint32_t get_word(int index, const Quants& out) {
  uint32_t word;
  std::memcpy(&word, out.quants + 4 * index, sizeof(word));
  return word;
}

// 16 bytes: low nibbles are values 0 to 15, high nibbles 16 to 31.
void nibbles(const std::byte* from, Quants& out) {
  for (int i = 0; i < 4; ++i) {
    const uint32_t word = word_at(from + 4 * i);
    put_word(i, word & 0x0f0f0f0fU, out);
    put_word(i + 4, (word >> 4U) & 0x0f0f0f0fU, out);
  }
}

// The same, replaced by their entries of a table.
void table_nibbles(const std::byte* from, const uint8_t (&table)[16], Quants& out) {
  nibbles(from, out);
  for (uint8_t& quant : out.quants) {
    quant = table[quant];
  }
}

// 4 bytes: bit i is bit 4 of value i.
void fifth_bits(const std::byte* from, Quants& out) {
  const uint32_t bits = word_at(from);
  for (int i = 0; i < 8; ++i) {
    // Copies of four bits, 7 bits apart, have bit c of them at bit 8 c.
    const uint32_t spread = (((bits >> static_cast<uint32_t>(4 * i)) & 15U) * 0x00204081U) & 0x01010101U;
    put_word(i, get_word(i, out) | spread << 4U, out);
  }
}

// Scale f16, 32 signed bytes.
void q8_0(const std::byte* block, int, Quants& out) {
  set_scale(half_at(block), out);
  for (int i = 0; i < 8; ++i) {
    put_word(i, word_at(block + 2 + 4 * i) ^ 0x80808080U, out);
  }
}

// Scale f16, nibbles.
void q4_0(const std::byte* block, int, Quants& out) {
  set_scale(half_at(block), out);
  nibbles(block + 2, out);
}

// Scale and minimum f16, nibbles.
void q4_1(const std::byte* block, int, Quants& out) {
  set_scale(half_at(block), out);
  set_minimum(half_at(block + 2), out);
  nibbles(block + 4, out);
}

// Scale f16, fifth bits, nibbles.
void q5_0(const std::byte* block, int, Quants& out) {
  set_scale(half_at(block), out);
  nibbles(block + 6, out);
  fifth_bits(block + 2, out);
}

// Scale and minimum f16, fifth bits, nibbles.
void q5_1(const std::byte* block, int, Quants& out) {
  set_scale(half_at(block), out);
  set_minimum(half_at(block + 2), out);
  nibbles(block + 8, out);
  fifth_bits(block + 4, out);
}

// Super-blocks of 256 hold eight runs of 32 columns, numbered by `run`.

// 16 bytes of a scale (low nibble) and a minimum (high nibble) for 16 columns each, 64 bytes of 2 bits, scale and
// minimum f16 of these. Each 32 bytes of quants hold four runs, two bits each.
void q2_k(const std::byte* block, int run, Quants& out) {
  const float scale = half_at(block + 80);
  const float minimum = half_at(block + 82);
  const std::byte* quants = block + 16 + run / 4 * 32;
  for (int half = 0; half < 2; ++half) {
    const uint32_t packed = byte_at(block + 2 * run + half);
    out.scale[half] = scale * static_cast<float>(packed & 15U);
    out.minimum[half] = -(minimum * static_cast<float>(packed >> 4U));
  }
  for (int i = 0; i < 8; ++i) {
    put_word(i, (word_at(quants + 4 * i) >> static_cast<uint32_t>(run % 4 * 2)) & 0x03030303U, out);
  }
}

// 32 bytes whose bit `run` is bit 2 of the quants, 64 bytes of their low bits as in Q2_K, 12 bytes of 6-bit scales
// offset by 32 (16 low nibbles, then 16 high pairs), scale f16 of these.
void q3_k(const std::byte* block, int run, Quants& out) {
  const float scale = half_at(block + 108);
  const std::byte* quants = block + 32 + run / 4 * 32;
  const std::byte* scales = block + 96;
  for (int half = 0; half < 2; ++half) {
    const auto i = static_cast<uint32_t>(2 * run + half);
    const uint32_t low = i < 8 ? byte_at(scales + i) & 15U : byte_at(scales + i - 8) >> 4U;
    const uint32_t high = (byte_at(scales + 8 + i % 4) >> (2 * (i / 4))) & 3U;
    out.scale[half] = scale * static_cast<float>(static_cast<int>(low | high << 4U) - 32);
  }
  for (int i = 0; i < 8; ++i) {
    const uint32_t low = (word_at(quants + 4 * i) >> static_cast<uint32_t>(run % 4 * 2)) & 0x03030303U;
    const uint32_t high = (word_at(block + 4 * i) >> static_cast<uint32_t>(run)) & 0x01010101U;
    put_word(i, low | high << 2U, out);
  }
}

// Scale and minimum f16, then 12 bytes of a 6-bit scale and a 6-bit minimum for each run.
void scale_and_minimum_k(const std::byte* block, int run, Quants& out) {
  const std::byte* packed = block + 4;
  uint32_t scale = 0;
  uint32_t minimum = 0;
  if (run < 4) {
    scale = byte_at(packed + run) & 63U;
    minimum = byte_at(packed + run + 4) & 63U;
  } else {
    scale = (byte_at(packed + run + 4) & 15U) | (byte_at(packed + run - 4) >> 6U) << 4U;
    minimum = (byte_at(packed + run + 4) >> 4U) | (byte_at(packed + run) >> 6U) << 4U;
  }
  set_scale(half_at(block) * static_cast<float>(scale), out);
  set_minimum(-(half_at(block + 2) * static_cast<float>(minimum)), out);
}

// Each 32 bytes hold two runs: the even one in the low nibbles, the odd one in the high ones.
void nibbles_k(const std::byte* quants, int run, Quants& out) {
  const std::byte* from = quants + run / 2 * 32;
  for (int i = 0; i < 8; ++i) {
    put_word(i, (word_at(from + 4 * i) >> static_cast<uint32_t>(run % 2 * 4)) & 0x0f0f0f0fU, out);
  }
}

// Scales and minima, 128 bytes of nibbles.
void q4_k(const std::byte* block, int run, Quants& out) {
  scale_and_minimum_k(block, run, out);
  nibbles_k(block + 16, run, out);
}

// Scales and minima, 32 bytes whose bit `run` is bit 4 of the quants, 128 bytes of nibbles.
void q5_k(const std::byte* block, int run, Quants& out) {
  scale_and_minimum_k(block, run, out);
  nibbles_k(block + 48, run, out);
  for (int i = 0; i < 8; ++i) {
    const uint32_t bits = (word_at(block + 16 + 4 * i) >> static_cast<uint32_t>(run)) & 0x01010101U;
    put_word(i, get_word(i, out) | bits << 4U, out);
  }
}

// 128 bytes of low nibbles, 64 bytes of high pairs, 16 signed scales for 16 columns each, scale f16 of these. Each half
// of 128 columns has 64 bytes of nibbles (runs 0 and 1 low, 2 and 3 high) and 32 bytes of pairs.
void q6_k(const std::byte* block, int run, Quants& out) {
  const float scale = half_at(block + 208);
  const std::byte* low = block + run / 4 * 64 + run % 2 * 32;
  const std::byte* high = block + 128 + run / 4 * 32;
  for (int half = 0; half < 2; ++half) {
    const auto of_run = static_cast<int8_t>(block[192 + 2 * run + half]);
    out.scale[half] = scale * static_cast<float>(of_run);
  }
  const auto low_shift = static_cast<uint32_t>(run % 4 / 2 * 4);
  const auto high_shift = static_cast<uint32_t>(run % 4 * 2);
  for (int i = 0; i < 8; ++i) {
    const uint32_t nibble = (word_at(low + 4 * i) >> low_shift) & 0x0f0f0f0fU;
    const uint32_t pair = (word_at(high + 4 * i) >> high_shift) & 0x03030303U;
    put_word(i, nibble | pair << 4U, out);
  }
}

// Scale f16, nibbles that number sixteen values.
void iq4_nl(const std::byte* block, int, Quants& out) {
  set_scale(half_at(block), out);
  table_nibbles(block + 2, kIq4Integers, out);
}

// A scale that is a power of two (E8M0), nibbles E2M1. The integers are twice the values, so the scale is half of the
// stored one.
void mxfp4(const std::byte* block, int, Quants& out) {
  const uint32_t exponent = byte_at(block);
  set_scale(std::bit_cast<float>(exponent < 2 ? 0x00200000U << exponent : (exponent - 1) << 23U), out);
  table_nibbles(block + 1, kFp4Integers, out);
}

struct QuantFormat {
  UnpackQuants unpack;
  int offset;
  int scale_at;    ///< Byte of a block where its f16 scale stands (MXFP4: its exponent).
  int minimum_at;  ///< The same of the minimum; -1 if the type has none.
};

const QuantFormat& format(DType dtype) {
  static constexpr std::array<QuantFormat, 12> kFormats = {{
      {q8_0, 128, 0, -1},
      {q4_0, 8, 0, -1},
      {q4_1, 0, 0, 2},
      {q5_0, 16, 0, -1},
      {q5_1, 0, 0, 2},
      {q2_k, 0, 80, 82},
      {q3_k, 4, 108, -1},
      {q4_k, 0, 0, 2},
      {q5_k, 0, 0, 2},
      {q6_k, 32, 208, -1},
      {iq4_nl, 128, 0, -1},
      {mxfp4, 12, 0, -1},
  }};
  static_assert(static_cast<int>(DType::kMXFP4) - static_cast<int>(DType::kQ8_0) + 1 == kFormats.size());
  LONGSHIP_CHECK(is_block_quantised(dtype), "not a block-quantised type: " + std::string(name(dtype)));
  return kFormats[static_cast<std::size_t>(dtype) - static_cast<std::size_t>(DType::kQ8_0)];
}

}  // namespace

int quant_offset(DType dtype) {
  return format(dtype).offset;
}

bool has_minimum(DType dtype) {
  return format(dtype).minimum_at >= 0;
}

void set_scales(DType dtype, float scale, float minimum, std::byte* block) {
  const QuantFormat& type = format(dtype);
  if (dtype == DType::kMXFP4) {
    constexpr int kBias = 128;  // the scale is half of 2^(e - 127)
    *block = static_cast<std::byte>(std::clamp(std::ilogb(scale) + kBias, 0, 254));
    return;
  }
  store_value(DType::kF16, scale, block + type.scale_at);
  if (type.minimum_at >= 0) {
    store_value(DType::kF16, minimum, block + type.minimum_at);
  }
}

UnpackQuants quant_unpacker(DType dtype) {
  return format(dtype).unpack;
}

}  // namespace longship
