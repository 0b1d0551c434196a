#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "core/dtype.h"
#include "core/error.h"

namespace longship {

using Shape = std::vector<int64_t>;

int64_t element_count(const Shape& shape);

/// A typed view of memory of one device, row-major without gaps. Copying copies the view; a view made by
/// allocate(), own() or slice() keeps the buffer alive, one made by wrap() does not. The host may read and write the
/// values of host memory only. Not synchronised.
class Tensor {
 public:
  static constexpr int64_t kAlignment = 64;

  Tensor() = default;

  /// Bytes that allocate() takes for `bytes` bytes of values.
  static int64_t aligned_bytes(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }
  /// Zeroed host memory, 64-byte aligned. Shapes come from validated configurations.
  static Tensor allocate(DType dtype, Shape shape);
  /// A view of memory owned by the caller.
  static Tensor wrap(DType dtype, Shape shape, void* data);
  /// Memory of any device, which its last view releases.
  static Tensor own(DType dtype, Shape shape, std::shared_ptr<void> memory);

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int ndim() const { return static_cast<int>(shape_.size()); }
  int64_t dim(int i) const { return shape_[static_cast<std::size_t>(i < 0 ? i + ndim() : i)]; }
  int64_t elements() const { return element_count(shape_); }
  int64_t bytes() const { return bytes_of(dtype_, elements()); }
  bool empty() const { return elements() == 0; }

  template <class T>
  T* data() const {
    return reinterpret_cast<T*>(data_);
  }
  /// Values as a span; T must have the size of one value of dtype().
  template <class T>
  std::span<T> values() const {
    return {data<T>(), static_cast<std::size_t>(elements())};
  }

  /// Rows [begin, end) of the outermost dimension.
  Tensor slice(int64_t begin, int64_t end) const;
  /// The same memory under another shape of as many values.
  Tensor reshape(Shape shape) const;

 private:
  DType dtype_ = DType::kF32;
  Shape shape_ = {0};
  std::byte* data_ = nullptr;
  std::shared_ptr<void> owner_;
};

}  // namespace longship
