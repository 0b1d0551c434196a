#pragma once

#include <cstdint>
#include <string_view>

namespace longship {

/// A tensor type of the GGUF format: every one that a file may hold, also those that we do not load.
struct GgmlType {
  uint32_t number;
  std::string_view name;
  uint32_t block_values;
  uint32_t block_bytes;
};

/// Null for a number that stands for no type (or one that was removed).
const GgmlType* ggml_type(uint32_t number);

}  // namespace longship
