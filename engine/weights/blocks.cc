#include "engine/weights/blocks.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/fp8.h"
#include "core/half.h"
#include "engine/weights/quants.h"

namespace longship {

namespace {

template <class T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

using ValueFunction = float (*)(const std::byte*);

ValueFunction value_function(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return [](const std::byte* value) { return load<float>(value); };
    case DType::kF16:
      return [](const std::byte* value) { return f16_to_f32(load<uint16_t>(value)); };
    case DType::kBF16:
      return [](const std::byte* value) { return bf16_to_f32(load<uint16_t>(value)); };
    case DType::kF8_E4M3:
      return [](const std::byte* value) { return e4m3_to_f32(load<uint8_t>(value)); };
    default:
      break;
  }
  LONGSHIP_CHECK(false, "not a weight type: " + std::string(name(dtype)));
  return nullptr;
}

// Of two that are as near the even one; what is larger than all becomes the largest. For tests and synthetic weights:
// tries them all.
std::byte nearest_e4m3(float value) {
  uint8_t nearest = 0;
  for (uint8_t bits = 1; bits < 0x7F; ++bits) {
    const float distance = std::abs(std::abs(value) - e4m3_to_f32(bits));
    const float least = std::abs(std::abs(value) - e4m3_to_f32(nearest));
    nearest = distance < least || (distance == least && bits % 2 == 0) ? bits : nearest;
  }
  return static_cast<std::byte>(std::signbit(value) ? nearest | 0x80U : nearest);
}

// Columns [begin, end) of 32, each product and sum rounded as the formats' descriptions have it.
void dequantize_quants(const Quants& quants, DType dtype, int64_t begin, int64_t end, float* out) {
  const int offset = quant_offset(dtype);
  const bool minimum = has_minimum(dtype);
  for (int64_t i = begin; i < end; ++i) {
    const float value = quants.scale[i / 16] * static_cast<float>(quants.quants[i] - offset);
    out[i - begin] = minimum ? value + quants.minimum[i / 16] : value;
  }
}

}  // namespace

void dequantize_columns(DType dtype, const std::byte* row, Range columns, float* out) {
  if (!is_block_quantised(dtype)) {
    const ValueFunction value = value_function(dtype);
    const int64_t size = info(dtype).block_bytes;
    for (int64_t i = columns.begin; i < columns.end; ++i) {
      *out++ = value(row + i * size);
    }
    return;
  }
  Quants quants;
  const UnpackQuants unpack = quant_unpacker(dtype);
  const DTypeInfo& type = info(dtype);
  const int64_t runs = type.block_values / kQuantColumns;
  for (int64_t index = columns.begin / kQuantColumns; index * kQuantColumns < columns.end; ++index) {
    const int64_t first = index * kQuantColumns;
    const int64_t begin = std::max<int64_t>(columns.begin - first, 0);
    const int64_t end = std::min(columns.end - first, kQuantColumns);
    unpack(row + index / runs * type.block_bytes, static_cast<int>(index % runs), quants);
    dequantize_quants(quants, dtype, begin, end, out);
    out += end - begin;
  }
}

void dequantize(DType dtype, const std::byte* stored, int64_t values, float* out) {
  dequantize_columns(dtype, stored, {0, values}, out);
}

void store_value(DType dtype, float value, std::byte* to) {
  if (dtype == DType::kF32) {
    std::memcpy(to, &value, sizeof(value));
    return;
  }
  if (dtype == DType::kF8_E4M3) {
    *to = nearest_e4m3(value);
    return;
  }
  LONGSHIP_CHECK(dtype == DType::kF16 || dtype == DType::kBF16, "not a plain type: " + std::string(name(dtype)));
  const uint16_t half = dtype == DType::kF16 ? f32_to_f16(value) : f32_to_bf16(value);
  std::memcpy(to, &half, sizeof(half));
}

}  // namespace longship
