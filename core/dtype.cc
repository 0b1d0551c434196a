#include "core/dtype.h"

#include <array>

namespace longship {

namespace {

constexpr std::array kTypes = {
    DTypeInfo{DType::kF32, "F32", 1, 4, 1, 0, "F32"},     DTypeInfo{DType::kF16, "F16", 1, 2, 1, 1, "F16"},
    DTypeInfo{DType::kBF16, "BF16", 1, 2, 1, 30, "BF16"}, DTypeInfo{DType::kI32, "I32", 1, 4, 1, -1, "I32"},
    DTypeInfo{DType::kU8, "U8", 1, 1, 1, -1, "U8"},       DTypeInfo{DType::kQ8_0, "Q8_0", 32, 34, 32, 8, ""},
    DTypeInfo{DType::kQ4_0, "Q4_0", 32, 18, 32, 2, ""},   DTypeInfo{DType::kQ4_1, "Q4_1", 32, 20, 32, 3, ""},
};

}  // namespace

const DTypeInfo& info(DType dtype) {
  return kTypes[static_cast<std::size_t>(dtype)];
}

std::optional<DType> dtype_from_ggml(uint32_t ggml_type) {
  for (const DTypeInfo& type : kTypes) {
    if (type.ggml_type >= 0 && static_cast<uint32_t>(type.ggml_type) == ggml_type) {
      return type.dtype;
    }
  }
  return std::nullopt;
}

std::optional<DType> dtype_from_safetensors(std::string_view name) {
  for (const DTypeInfo& type : kTypes) {
    if (!type.safetensors.empty() && type.safetensors == name) {
      return type.dtype;
    }
  }
  return std::nullopt;
}

}  // namespace longship
