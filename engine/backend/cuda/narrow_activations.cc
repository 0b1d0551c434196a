#include "engine/backend/cuda/narrow_activations.h"

#include "core/error.h"
#include "cuda/memory.h"

namespace longship::cuda {

void NarrowActivations::reserve(int64_t rows, int64_t columns) {
  capacity_ = bytes(rows, columns);
  memory_ = allocate_device(static_cast<std::size_t>(capacity_));
  forget();
}

ValuesOut NarrowActivations::begin(const Tensor& x, int64_t first_row, ValueType type) {
  LONGSHIP_CHECK(fits(x.dim(0), x.dim(1)), "more rows or columns than reserved");
  values_ = x.data<float>();
  rows_ = x.dim(0);
  columns_ = x.dim(1);
  type_ = type;
  only_here_ = true;
  return {static_cast<std::byte*>(memory_.get()) + bytes(first_row, columns_), type};
}

const void* NarrowActivations::get(const float* x, int64_t rows, int64_t columns, ValueType type, StreamHandle stream) {
  LONGSHIP_CHECK(fits(rows, columns), "more rows or columns than reserved");
  const bool kept = values_ == x && rows_ == rows && columns_ == columns;
  if (kept && type_ == type) {
    return memory_.get();
  }
  if (kept) {
    restore(x, stream);
  }
  launch_narrow(type, x, rows * columns, memory_.get(), stream);
  forget();
  return memory_.get();
}

void NarrowActivations::restore(const float* x, StreamHandle stream) {
  if (values_ == x && only_here_) {
    launch_widen(type_, memory_.get(), rows_ * columns_, values_, stream);
    only_here_ = false;
  }
}

}  // namespace longship::cuda
