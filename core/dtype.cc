#include "core/dtype.h"

#include <array>

namespace longship {

namespace {

constexpr std::array kTypes = {
    DTypeInfo{DType::kF32, "F32", 1, 4, 0, "F32"},     DTypeInfo{DType::kF16, "F16", 1, 2, 1, "F16"},
    DTypeInfo{DType::kBF16, "BF16", 1, 2, 30, "BF16"}, DTypeInfo{DType::kI32, "I32", 1, 4, -1, "I32"},
    DTypeInfo{DType::kU8, "U8", 1, 1, -1, "U8"},       DTypeInfo{DType::kQ8_0, "Q8_0", 32, 34, 8, ""},
    DTypeInfo{DType::kQ4_0, "Q4_0", 32, 18, 2, ""},    DTypeInfo{DType::kQ4_1, "Q4_1", 32, 20, 3, ""},
    DTypeInfo{DType::kQ5_0, "Q5_0", 32, 22, 6, ""},    DTypeInfo{DType::kQ5_1, "Q5_1", 32, 24, 7, ""},
    DTypeInfo{DType::kQ2_K, "Q2_K", 256, 84, 10, ""},  DTypeInfo{DType::kQ3_K, "Q3_K", 256, 110, 11, ""},
    DTypeInfo{DType::kQ4_K, "Q4_K", 256, 144, 12, ""}, DTypeInfo{DType::kQ5_K, "Q5_K", 256, 176, 13, ""},
    DTypeInfo{DType::kQ6_K, "Q6_K", 256, 210, 14, ""}, DTypeInfo{DType::kIQ4_NL, "IQ4_NL", 32, 18, 20, ""},
    DTypeInfo{DType::kMXFP4, "MXFP4", 32, 17, 39, ""}, DTypeInfo{DType::kF8_E4M3, "F8_E4M3", 1, 1, -1, "F8_E4M3"},
};

}  // namespace

const DTypeInfo& info(DType dtype) {
  return kTypes[static_cast<std::size_t>(dtype)];
}

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const DTypeInfo& type : kTypes) {
    if (type.name == name) {
      return type.dtype;
    }
  }
  return std::nullopt;
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
