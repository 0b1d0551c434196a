#pragma once

#include <cstdint>
#include <memory>

#include "core/tensor.h"
#include "cuda/api.h"
#include "engine/backend/cuda/kernels/narrow.h"

namespace longship::cuda {

/// Activations of one tensor [rows, columns] as the 16 bits in which a product of many tokens reads them. Either the
/// operation that computed them wrote them here, and then here only, or the product has them converted.
class NarrowActivations {
 public:
  static int64_t bytes(int64_t rows, int64_t columns) { return rows * columns * int64_t{sizeof(uint16_t)}; }
  void reserve(int64_t rows, int64_t columns);
  bool fits(int64_t rows, int64_t columns) const { return bytes(rows, columns) <= capacity_; }

  /// From now on of `x`, which fits. Where the operation that computes row `first_row` and those behind it writes them
  /// instead of in x; all rows of x are, before the next of these calls.
  ValuesOut begin(const Tensor& x, int64_t first_row, ValueType type);
  /// The values of x [rows, columns], which fit.
  const void* get(const float* x, int64_t rows, int64_t columns, ValueType type, StreamHandle stream);
  /// Writes values that are only here to x, if it is theirs.
  void restore(const float* x, StreamHandle stream);
  /// Called behind the product that read them.
  void forget() { values_ = nullptr; }

 private:
  std::shared_ptr<void> memory_;
  int64_t capacity_ = 0;
  float* values_ = nullptr;
  int64_t rows_ = 0;
  int64_t columns_ = 0;
  ValueType type_ = ValueType::kBf16;
  bool only_here_ = false;
};

}  // namespace longship::cuda
