#pragma once

#include "core/range.h"
#include "core/tensor.h"
#include "engine/backend/cpu/isa.h"

namespace longship::cpu {

/// int8 activations: those of a tensor [rows, columns], and which tensor that is.
class QuantisedRows {
 public:
  static int64_t bytes(int64_t rows, int64_t columns) {
    return quant_bytes(rows, columns) + block_bytes(rows, columns);
  }
  void reserve(int64_t rows, int64_t columns);

  /// From now on of `x` [rows, columns], all of whose rows the caller quantises before complete(x) is asked.
  void begin(const Tensor& x);
  void forget() { values_ = nullptr; }
  /// Whether they are those of `x`.
  bool complete(const Tensor& x) const {
    return values_ != nullptr && values_ == x.data<float>() && rows_ == x.dim(0) && columns_ == x.dim(1);
  }
  /// Columns, a multiple of kBlock from a multiple on, of row `row`, whose values begin at `x`. Threads may take
  /// different ones at once.
  void quantise(const Isa& isa, const float* x, int64_t row, Range columns) {
    isa.quantise(x + columns.begin, columns.size(), quants(row) + columns.begin, blocks(row) + columns.begin / kBlock);
  }

  int8_t* quants(int64_t row) const { return quants_.data<int8_t>() + row * columns_; }
  ActivationBlock* blocks(int64_t row) const { return blocks_.data<ActivationBlock>() + row * (columns_ / kBlock); }

 private:
  static int64_t quant_bytes(int64_t rows, int64_t columns) { return Tensor::aligned_bytes(rows * columns); }
  static int64_t block_bytes(int64_t rows, int64_t columns) {
    return Tensor::aligned_bytes(rows * (columns / kBlock) * static_cast<int64_t>(sizeof(ActivationBlock)));
  }

  Tensor quants_;
  Tensor blocks_;
  const float* values_ = nullptr;
  int64_t rows_ = 0;
  int64_t columns_ = 0;
};

inline void QuantisedRows::reserve(int64_t rows, int64_t columns) {
  if (quants_.bytes() < quant_bytes(rows, columns)) {
    quants_ = Tensor::allocate(DType::kU8, {quant_bytes(rows, columns)});
  }
  if (blocks_.bytes() < block_bytes(rows, columns)) {
    blocks_ = Tensor::allocate(DType::kU8, {block_bytes(rows, columns)});
  }
}

inline void QuantisedRows::begin(const Tensor& x) {
  LONGSHIP_CHECK(
      quant_bytes(x.dim(0), x.dim(1)) <= quants_.bytes() && block_bytes(x.dim(0), x.dim(1)) <= blocks_.bytes(),
      "more rows or columns than reserved");
  values_ = x.data<float>();
  rows_ = x.dim(0);
  columns_ = x.dim(1);
}

}  // namespace longship::cpu
