#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/dtype.h"
#include "core/tensor.h"

namespace longship {

/// A tensor of a checkpoint, outermost dimension first.
struct SourceTensor {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;

  int64_t rows() const { return shape.size() == 2 ? shape[0] : 1; }
  int64_t columns() const { return shape.empty() ? 1 : shape.back(); }
};

/// Rows [row_begin, row_end) and columns [column_begin, column_end) of a matrix; a vector is one row.
struct Region {
  int64_t row_begin = 0;
  int64_t row_end = 0;
  int64_t column_begin = 0;
  int64_t column_end = 0;
};

/// A region in memory.
struct RegionView {
  const std::byte* data = nullptr;
  int64_t stride_bytes = 0;
};

/// Reads slices of a checkpoint's tensors. Safe to use from several threads.
class WeightSource {
 public:
  virtual ~WeightSource() = default;

  /// Tensors of types that we load, in file order.
  virtual std::span<const SourceTensor> tensors() const = 0;
  /// Names of those of other types, in no order.
  virtual std::vector<std::string> unsupported() const { return {}; }
  /// Null if the checkpoint has no such tensor. A tensor of an unsupported type throws kModelFile naming both.
  virtual const SourceTensor* find(std::string_view name) const = 0;
  /// As find(); a source without a file has any tensor, of the shape that is asked for first.
  virtual const SourceTensor* expect(std::string_view name, const Shape& /*shape*/) { return find(name); }
  /// Copies a region as stored, row after row without gaps.
  void read(const SourceTensor& tensor, const Region& region, std::span<std::byte> out);
  /// The first row of a region where it is in memory; row follows row after `stride_bytes` bytes. Column bounds are
  /// multiples of the type's block.
  virtual RegionView view(const SourceTensor& tensor, const Region& region) = 0;
  /// File or folder, for messages.
  virtual const std::string& path() const = 0;
  /// Bytes of the regions asked for so far.
  virtual uint64_t bytes_read() const = 0;
};

}  // namespace longship
