#pragma once

#include <cstdint>

#include "cuda/api.h"

namespace longship::cuda {

/// What activations are kept as between two operations: f32, or the 16 bits in which a product reads them.
enum class ValueType : uint8_t { kF32, kF16, kBf16 };

/// Rows without gaps.
struct ValuesIn {
  const void* first = nullptr;
  ValueType type = ValueType::kF32;
};
struct ValuesOut {
  void* first = nullptr;
  ValueType type = ValueType::kF32;
};

/// Values rounded to `type` or, from it, to f32; what is too large for f16 becomes the largest. Arrays are aligned to
/// 16 bytes.
void launch_narrow(ValueType type, const float* x, int64_t count, void* out, StreamHandle stream);
void launch_widen(ValueType type, const void* x, int64_t count, float* out, StreamHandle stream);

}  // namespace longship::cuda
