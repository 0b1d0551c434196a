#include "engine/weights/blocks.h"

#include <cstring>

#include "core/error.h"
#include "core/half.h"

namespace longship {

namespace {

template <class T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

// Block of 32: f16 scale, 32 int8.
void q8_0(const std::byte* block, float* out) {
  const float scale = f16_to_f32(load<uint16_t>(block));
  for (int i = 0; i < 32; ++i) {
    out[i] = scale * static_cast<float>(static_cast<int8_t>(block[2 + i]));
  }
}

// Block of 32: f16 scale, 16 bytes whose low nibbles are values 0 to 15 and high nibbles 16 to 31, offset by 8.
void q4_0(const std::byte* block, float* out) {
  const float scale = f16_to_f32(load<uint16_t>(block));
  for (int i = 0; i < 16; ++i) {
    const int byte = static_cast<int>(block[2 + i]);
    out[i] = scale * static_cast<float>((byte & 15) - 8);
    out[i + 16] = scale * static_cast<float>((byte >> 4) - 8);
  }
}

// Block of 32: f16 scale, f16 minimum, nibbles as in Q4_0 without offset.
void q4_1(const std::byte* block, float* out) {
  const float scale = f16_to_f32(load<uint16_t>(block));
  const float minimum = f16_to_f32(load<uint16_t>(block + 2));
  for (int i = 0; i < 16; ++i) {
    const int byte = static_cast<int>(block[4 + i]);
    out[i] = scale * static_cast<float>(byte & 15) + minimum;
    out[i + 16] = scale * static_cast<float>(byte >> 4) + minimum;
  }
}

using BlockFunction = void (*)(const std::byte*, float*);

BlockFunction block_function(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return [](const std::byte* value, float* out) { *out = load<float>(value); };
    case DType::kF16:
      return [](const std::byte* value, float* out) { *out = f16_to_f32(load<uint16_t>(value)); };
    case DType::kBF16:
      return [](const std::byte* value, float* out) { *out = bf16_to_f32(load<uint16_t>(value)); };
    case DType::kQ8_0:
      return q8_0;
    case DType::kQ4_0:
      return q4_0;
    case DType::kQ4_1:
      return q4_1;
    case DType::kI32:
    case DType::kU8:
      break;
  }
  LONGSHIP_CHECK(false, "not a weight type: " + std::string(name(dtype)));
  return nullptr;
}

}  // namespace

void dequantize(DType dtype, const std::byte* stored, int64_t values, float* out) {
  const BlockFunction function = block_function(dtype);
  const DTypeInfo& type = info(dtype);
  for (int64_t i = 0; i < values; i += type.block_values) {
    function(stored, out + i);
    stored += type.block_bytes;
  }
}

}  // namespace longship
