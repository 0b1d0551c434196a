#pragma once

#include "core/range.h"
#include "core/tensor.h"
#include "engine/backend/cpu/isa.h"

namespace longship::cpu {

/// What products take activations as, beside f32.
struct NarrowForms {
  bool int8 = false;   ///< Blocks of 32 with a scale.
  bool pairs = false;  ///< Pairs of bf16.

  bool any() const { return int8 || pairs; }
};

/// Activations in narrow forms: those of a tensor [rows, columns], and which tensor that is.
class NarrowRows {
 public:
  explicit NarrowRows(const Isa& isa) : isa_(&isa) {}

  int64_t bytes(int64_t rows, int64_t columns) const {
    return quant_bytes(rows, columns) + block_bytes(rows, columns) + pair_bytes(rows, columns);
  }
  void reserve(int64_t rows, int64_t columns);

  /// From now on of `x` [rows, columns], all of whose rows the caller narrows before complete() is asked.
  void begin(const Tensor& x, NarrowForms forms);
  void forget() { values_ = nullptr; }
  /// Whether they are those of `x`, in these forms at least.
  bool complete(const Tensor& x, NarrowForms forms) const {
    return values_ != nullptr && values_ == x.data<float>() && rows_ == x.dim(0) && columns_ == x.dim(1) &&
           forms_.int8 >= forms.int8 && forms_.pairs >= forms.pairs;
  }
  /// Columns from a multiple of kBlock on, up to another or the last, of row `row`, whose values begin at `x`. Threads
  /// may take different ones at once.
  void narrow(const float* x, int64_t row, Range columns) {
    if (forms_.int8) {
      isa_->quantise(x + columns.begin, columns.size(), quants(row) + columns.begin,
                     blocks(row) + columns.begin / kBlock);
    }
    if (forms_.pairs) {
      isa_->round_to_pairs(x + columns.begin, columns.size(), pairs(row) + columns.begin / 2 * isa_->pair_bytes);
    }
  }

  /// The task's activations: those from row `row` on.
  void set_activations(int64_t row, LinearTask& task) const {
    task.quants = forms_.int8 ? quants(row) : nullptr;
    task.blocks = forms_.int8 ? blocks(row) : nullptr;
    task.pairs = forms_.pairs ? pairs(row) : nullptr;
  }

 private:
  static int64_t quant_bytes(int64_t rows, int64_t columns) { return Tensor::aligned_bytes(rows * columns); }
  static int64_t block_bytes(int64_t rows, int64_t columns) {
    return Tensor::aligned_bytes(rows * (columns / kBlock) * static_cast<int64_t>(sizeof(ActivationBlock)));
  }
  int64_t pair_bytes(int64_t rows, int64_t columns) const {
    return Tensor::aligned_bytes(rows * pairs_of(columns) * isa_->pair_bytes);
  }

  int8_t* quants(int64_t row) const { return quants_.data<int8_t>() + row * columns_; }
  ActivationBlock* blocks(int64_t row) const { return blocks_.data<ActivationBlock>() + row * (columns_ / kBlock); }
  std::byte* pairs(int64_t row) const { return pairs_.data<std::byte>() + row * pairs_of(columns_) * isa_->pair_bytes; }

  const Isa* isa_;
  Tensor quants_;
  Tensor blocks_;
  Tensor pairs_;
  const float* values_ = nullptr;
  NarrowForms forms_;
  int64_t rows_ = 0;
  int64_t columns_ = 0;
};

inline void NarrowRows::reserve(int64_t rows, int64_t columns) {
  const auto grow = [](Tensor& room, int64_t bytes) {
    if (room.bytes() < bytes) {
      room = Tensor::allocate(DType::kU8, {bytes});
    }
  };
  grow(quants_, quant_bytes(rows, columns));
  grow(blocks_, block_bytes(rows, columns));
  grow(pairs_, pair_bytes(rows, columns));
}

inline void NarrowRows::begin(const Tensor& x, NarrowForms forms) {
  LONGSHIP_CHECK(quant_bytes(x.dim(0), x.dim(1)) <= quants_.bytes() &&
                     block_bytes(x.dim(0), x.dim(1)) <= blocks_.bytes() &&
                     pair_bytes(x.dim(0), x.dim(1)) <= pairs_.bytes(),
                 "more rows or columns than reserved");
  values_ = x.data<float>();
  forms_ = forms;
  rows_ = x.dim(0);
  columns_ = x.dim(1);
}

}  // namespace longship::cpu
