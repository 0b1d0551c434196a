#include "core/tensor.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace longship {

int64_t element_count(const Shape& shape) {
  int64_t count = 1;
  for (const int64_t extent : shape) {
    count *= extent;
  }
  return count;
}

Tensor Tensor::allocate(DType dtype, Shape shape) {
  constexpr std::size_t kAlignment = 64;
  Tensor tensor = wrap(dtype, std::move(shape), nullptr);
  const auto size = (static_cast<std::size_t>(tensor.bytes()) + kAlignment - 1) / kAlignment * kAlignment;
  if (size != 0) {
    void* memory = std::aligned_alloc(kAlignment, size);
    if (memory == nullptr) {
      throw std::bad_alloc();
    }
    std::memset(memory, 0, size);
    tensor.owner_ = std::shared_ptr<void>(memory, std::free);
    tensor.data_ = static_cast<std::byte*>(memory);
  }
  return tensor;
}

Tensor Tensor::wrap(DType dtype, Shape shape, void* data) {
  Tensor tensor;
  tensor.dtype_ = dtype;
  tensor.shape_ = std::move(shape);
  tensor.data_ = static_cast<std::byte*>(data);
  return tensor;
}

Tensor Tensor::slice(int64_t begin, int64_t end) const {
  LONGSHIP_CHECK(ndim() >= 1 && 0 <= begin && begin <= end && end <= dim(0), "slice outside the tensor");
  Tensor part = *this;
  const int64_t row_bytes = dim(0) == 0 ? 0 : bytes() / dim(0);
  part.shape_[0] = end - begin;
  part.data_ = data_ + begin * row_bytes;
  return part;
}

Tensor Tensor::reshape(Shape shape) const {
  Tensor view = *this;
  LONGSHIP_CHECK(element_count(shape) == elements(), "reshape changes the number of values");
  view.shape_ = std::move(shape);
  return view;
}

}  // namespace longship
