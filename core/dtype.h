#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace longship {

/// Type of a stored value. Block-quantised types hold `block_values` values in `block_bytes` bytes
/// (layouts: the ggml block formats of the GGUF specification).
enum class DType : uint8_t {
  kF32,
  kF16,
  kBF16,
  kI32,
  kU8,
  kQ8_0,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIQ4_NL,
  kMXFP4,
  kF8_E4M3,
};

struct DTypeInfo {
  DType dtype;
  std::string_view name;  ///< As GGUF tools print it: "F32", "Q4_1".
  int32_t block_values;   ///< 1 for plain types.
  int32_t block_bytes;
  int32_t ggml_type;             ///< Number in a GGUF file, -1 if it has none that we load.
  std::string_view safetensors;  ///< Name in a safetensors header, empty if it has none.
};

/// The format table: the one place to add a type to.
const DTypeInfo& info(DType dtype);
std::optional<DType> dtype_from_name(std::string_view name);
std::optional<DType> dtype_from_ggml(uint32_t ggml_type);
std::optional<DType> dtype_from_safetensors(std::string_view name);

inline std::string_view name(DType dtype) {
  return info(dtype).name;
}
inline bool is_block_quantised(DType dtype) {
  return info(dtype).block_values > 1;
}
/// Columns at whose multiples a matrix of a block-quantised type may be cut, also inside a block.
inline constexpr int64_t kQuantColumns = 32;

/// Bytes of `values` values; `values` is a multiple of the block.
inline int64_t bytes_of(DType dtype, int64_t values) {
  return values / info(dtype).block_values * info(dtype).block_bytes;
}

/// Bytes of the blocks that hold `values` values from the beginning of a block on.
inline int64_t bytes_of_blocks(DType dtype, int64_t values) {
  const int64_t block = info(dtype).block_values;
  return (values + block - 1) / block * info(dtype).block_bytes;
}

}  // namespace longship
