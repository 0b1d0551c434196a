#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/weights/weight_source.h"

namespace longship {

/// What the values of an FP8 matrix "x.weight" are multiplied by: the tensor "x.weight_scale_inv" or "x.weight_scale",
/// of one number, of one for each row, or of one for each block of 128 x 128, the last ones smaller.
class TensorScales {
 public:
  /// Nothing where the checkpoint has none for this tensor, or the type needs none. Errors: kModelFile for scales of
  /// another shape.
  static std::optional<TensorScales> find(WeightSource& source, const SourceTensor& tensor);

  /// Columns of a block.
  int64_t block_columns() const { return block_columns_; }
  /// Of a row of the tensor and block `block` of its columns.
  float at(int64_t row, int64_t block) const {
    return values_[static_cast<std::size_t>(row / block_rows_ * per_row_ + block)];
  }

 private:
  std::vector<float> values_;
  int64_t per_row_ = 1;
  int64_t block_rows_ = 1;
  int64_t block_columns_ = 1;
};

}  // namespace longship
