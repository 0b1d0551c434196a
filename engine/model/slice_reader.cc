#include "engine/model/slice_reader.h"

#include <cstring>

namespace longship {

SliceReader::SliceReader(WeightSource& source, const ParamSpec& spec, const Slice& slice)
    : source_(source),
      segment_(spec.shard.segments[slice.segment]),
      tensor_(*source.find(segment_.source)),
      vector_(spec.global.size() == 1),
      first_row_(spec.shard.dim == 1 ? 0 : slice.global.begin),
      columns_(vector_ ? Range{0, 1} : (spec.shard.dim == 1 ? slice.global : Range{0, spec.global[1]})),
      stored_columns_(vector_ ? columns_ : columns_.widened(info(tensor_.dtype).block_values)),
      scales_(TensorScales::find(source, tensor_)) {}

Bytes SliceReader::read_rows(int64_t begin, int64_t end) const {
  if (segment_.transposed) {
    return read_transposed(begin, end);
  }
  return segment_.row_order == RowOrder::kAsStored ? read_in_order(begin, end) : read_permuted(begin, end);
}

// One number for each row and each block's columns, in the order of the model's rows.
ValueScales SliceReader::scales(int64_t begin, int64_t end, std::vector<float>& buffer) const {
  if (!scales_) {
    return {};
  }
  const int64_t first = columns_.begin / scales_->block_columns();
  const int64_t last = (columns_.end - 1) / scales_->block_columns();
  buffer.clear();
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t block = first; block <= last; ++block) {
      buffer.push_back(scales_->at(source_row(row), block));
    }
  }
  return {buffer.data(), last - first + 1, scales_->block_columns(), columns_.begin % scales_->block_columns()};
}

StoredMatrix SliceReader::matrix_rows(int64_t begin, int64_t end, MatrixBuffer& buffer) const {
  StoredMatrix matrix{tensor_.dtype, end - begin, columns_.size(), nullptr, skip()};
  matrix.scales = scales(begin, end, buffer.scales);
  if (!segment_.transposed && segment_.row_order == RowOrder::kAsStored) {
    const int64_t first = source_row(begin);
    const RegionView view =
        source_.view(tensor_, {first, first + (end - begin), stored_columns_.begin, stored_columns_.end});
    matrix.data = view.data;
    matrix.stride_bytes = view.stride_bytes;
    return matrix;
  }
  buffer.rows = read_rows(begin, end);
  matrix.data = buffer.rows.data();
  return matrix;
}

int64_t SliceReader::source_row(int64_t row) const {
  row += first_row_;
  if (segment_.row_order == RowOrder::kRotaryPairs) {
    const int64_t half = segment_.row_unit / 2;
    const int64_t within = row % segment_.row_unit;
    row += (within < half ? 2 * within : 2 * (within - half) + 1) - within;
  }
  return row + segment_.source_begin;
}

Bytes SliceReader::read_in_order(int64_t begin, int64_t end) const {
  Bytes out(static_cast<std::size_t>(bytes(end - begin)));
  const Range rows = {source_row(begin), source_row(begin) + (end - begin)};
  source_.read(tensor_,
               vector_ ? Region{0, 1, rows.begin, rows.end}
                       : Region{rows.begin, rows.end, stored_columns_.begin, stored_columns_.end},
               out);
  return out;
}

Bytes SliceReader::read_permuted(int64_t begin, int64_t end) const {
  const auto row_bytes = static_cast<std::size_t>(bytes(1));
  Bytes out(row_bytes * static_cast<std::size_t>(end - begin));
  for (int64_t row = begin; row < end; ++row) {
    const int64_t from = source_row(row);
    const Region region =
        vector_ ? Region{0, 1, from, from + 1} : Region{from, from + 1, stored_columns_.begin, stored_columns_.end};
    source_.read(tensor_, region, std::span(out).subspan(static_cast<std::size_t>(row - begin) * row_bytes, row_bytes));
  }
  return out;
}

Bytes SliceReader::read_transposed(int64_t begin, int64_t end) const {
  const auto rows = static_cast<std::size_t>(end - begin);
  const auto columns = static_cast<std::size_t>(columns_.size());
  const auto size = static_cast<std::size_t>(info(tensor_.dtype).block_bytes);
  Bytes stored(rows * columns * size);
  const int64_t from = source_row(begin);
  source_.read(tensor_, {columns_.begin, columns_.end, from, from + (end - begin)}, stored);
  Bytes out(stored.size());
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t column = 0; column < columns; ++column) {
      std::memcpy(&out[(row * columns + column) * size], &stored[(column * rows + row) * size], size);
    }
  }
  return out;
}

}  // namespace longship
