#pragma once

#include <cstddef>
#include <cstdint>

#include "core/dtype.h"
#include "core/range.h"

namespace longship {

/// Exact values of stored ones (ggml block formats; F8_E4M3, F16, BF16 and F32 as they are). `values` is a multiple of
/// the type's block; `stored` holds bytes_of(dtype, values) bytes of any alignment.
void dequantize(DType dtype, const std::byte* stored, int64_t values, float* out);
/// The same for some columns of a row of whole blocks that begins at `row`.
void dequantize_columns(DType dtype, const std::byte* row, Range columns, float* out);

/// Stores one value of a plain type: F32, F16, BF16 or F8_E4M3, rounded to the nearest.
void store_value(DType dtype, float value, std::byte* to);

}  // namespace longship
