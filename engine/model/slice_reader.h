#pragma once

#include <optional>
#include <vector>

#include "core/bytes.h"
#include "engine/backend/kernels.h"
#include "engine/weights/tensor_scales.h"
#include "engine/weights/weight_source.h"
#include "parallel/shard.h"

namespace longship {

/// What a StoredMatrix may point to.
struct MatrixBuffer {
  Bytes rows;
  std::vector<float> scales;
};

/// Reads a rank's slice of one segment as rows of the model, undoing what the segment declares of its source:
/// its place in a fused tensor, the order of its rows, transposition.
class SliceReader {
 public:
  SliceReader(WeightSource& source, const ParamSpec& spec, const Slice& slice);

  DType dtype() const { return tensor_.dtype; }
  /// Columns of the first block that the slice does not have.
  int64_t skip() const { return vector_ ? 0 : columns_.begin - stored_columns_.begin; }
  /// Bytes of the first `rows` rows.
  int64_t bytes(int64_t rows) const { return bytes_of(tensor_.dtype, rows * stored_columns_.size()); }
  /// Rows [begin, end) of the slice, in stored form, row after row, each the whole blocks that hold its columns. For a
  /// vector, rows are values.
  Bytes read_rows(int64_t begin, int64_t end) const;
  /// The same rows of a matrix: where they are mapped if they stand there in order, else in `buffer`.
  StoredMatrix matrix_rows(int64_t begin, int64_t end, MatrixBuffer& buffer) const;

 private:
  int64_t source_row(int64_t row) const;
  ValueScales scales(int64_t begin, int64_t end, std::vector<float>& buffer) const;
  Bytes read_in_order(int64_t begin, int64_t end) const;
  Bytes read_permuted(int64_t begin, int64_t end) const;
  Bytes read_transposed(int64_t begin, int64_t end) const;

  WeightSource& source_;
  const Segment& segment_;
  const SourceTensor& tensor_;
  bool vector_;
  int64_t first_row_;     ///< Row of the segment where the slice begins.
  Range columns_;         ///< Columns of the slice.
  Range stored_columns_;  ///< Those of the blocks that hold them.
  std::optional<TensorScales> scales_;
};

}  // namespace longship
