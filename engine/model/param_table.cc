#include "engine/model/param_table.h"

#include <algorithm>
#include <utility>

#include "core/unsupported.h"
#include "engine/model/slice_reader.h"
#include "engine/weights/blocks.h"

namespace longship {

namespace {

std::string shape_text(const Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return text + "]";
}

// The shape that the source of a segment must have.
Shape source_shape(const ParamSpec& spec, const Segment& segment) {
  const int64_t cut = segment.source_extent != 0 ? segment.source_extent : segment.extent;
  if (spec.global.size() == 1) {
    return {cut};
  }
  Shape shape = spec.shard.dim == 1 ? Shape{spec.global[0], cut} : Shape{cut, spec.global[1]};
  if (segment.transposed) {
    std::swap(shape[0], shape[1]);
  }
  return shape;
}

}  // namespace

ParamTable::ParamTable(WeightSource& source, Kernels& kernels, int tp, int tp_rank)
    : source_(source), kernels_(kernels), tp_(tp), tp_rank_(tp_rank) {}

const SourceTensor& ParamTable::require(const std::string& source_name, const Shape& shape) const {
  const SourceTensor* tensor = source_.expect(source_name, shape);
  if (tensor == nullptr) {
    throw model_file_error(source_.path(), source_name, "the tensor is missing");
  }
  return *tensor;
}

DType ParamTable::stored_dtype(const std::string& source_name, const Shape& shape) const {
  return require(source_name, shape).dtype;
}

Param* ParamTable::declare(ParamSpec spec) {
  spec.dtypes.clear();
  for (const Segment& segment : spec.shard.segments) {
    const Shape expected = source_shape(spec, segment);
    const SourceTensor& tensor = require(segment.source, expected);
    if (tensor.shape != expected) {
      throw model_file_error(
          source_.path(), segment.source,
          "the shape is " + shape_text(tensor.shape) + ", the configuration asks for " + shape_text(expected));
    }
    if (segment.transposed && (is_block_quantised(tensor.dtype) || TensorScales::find(source_, tensor))) {
      throw unsupported_error(source_.path(), segment.source,
                              "a transposed matrix of type " + std::string(name(tensor.dtype)) + " cannot be read");
    }
    spec.dtypes.push_back(tensor.dtype);
  }
  Param param;
  param.local = local_shape(spec, tp_, tp_rank_);
  if (param.is_matrix()) {
    for (const Slice& slice : slices(spec, tp_, tp_rank_)) {
      const int64_t rows = spec.shard.dim == 1 ? param.local[0] : slice.global.size();
      param.parts.push_back({spec.dtypes[slice.segment], rows, param.local[1], nullptr});
    }
  }
  param.spec = std::move(spec);
  params_.push_back(std::move(param));
  return &params_.back();
}

const StoredMatrix* ParamTable::declare_table(const std::string& source_name, int64_t rows, int64_t columns) {
  const SourceTensor& tensor = require(source_name, {rows, columns});
  if (tensor.shape != Shape{rows, columns}) {
    throw model_file_error(
        source_.path(), source_name,
        "the shape is " + shape_text(tensor.shape) + ", the configuration asks for " + shape_text({rows, columns}));
  }
  if (TensorScales::find(source_, tensor)) {
    throw unsupported_error(source_.path(), source_name, "a table of FP8 values with scales cannot be looked up");
  }
  const RegionView view = source_.view(tensor, {0, rows, 0, columns});
  tables_.push_back({tensor.dtype, rows, columns, view.data, 0, view.stride_bytes});
  return &tables_.back();
}

int64_t ParamTable::copied_table_bytes() const {
  int64_t total = 0;
  if (!kernels_.in_host_memory()) {
    for (const StoredMatrix& table : tables_) {
      total += Tensor::aligned_bytes(table.rows * table.row_bytes());
    }
  }
  return total;
}

int64_t ParamTable::bytes() const {
  int64_t total = copied_table_bytes();
  for (const Param& param : params_) {
    if (!param.is_matrix()) {
      total += Tensor::aligned_bytes(bytes_of(DType::kF32, param.local[0]));
    }
    for (const Weight& part : param.parts) {
      total += Tensor::aligned_bytes(kernels_.packed_bytes(part.dtype, part.rows, part.columns));
    }
  }
  return total;
}

int64_t ParamTable::source_bytes() const {
  int64_t total = copied_table_bytes();
  for (const Param& param : params_) {
    for (const Slice& slice : slices(param.spec, tp_, tp_rank_)) {
      const int64_t rows = param.spec.shard.dim == 1 ? param.local[0] : slice.global.size();
      total += SliceReader(source_, param.spec, slice).bytes(rows);
    }
  }
  return total;
}

int64_t ParamTable::max_columns() const {
  int64_t most = 0;
  for (const Param& param : params_) {
    most = std::max(most, param.is_matrix() ? param.local[1] : 0);
  }
  return most;
}

std::string ParamTable::facts() const {
  std::string text = std::string(kernels_.packing()) + '\n';
  for (const Param& param : params_) {
    text += param.spec.name + ' ' + shape_text(param.spec.global);
    for (const Slice& slice : slices(param.spec, tp_, tp_rank_)) {
      const Segment& segment = param.spec.shard.segments[slice.segment];
      text += ' ' + segment.source + ' ' + std::string(name(param.spec.dtypes[slice.segment]));
      for (const int64_t number : {int64_t{param.spec.shard.dim}, slice.global.begin, slice.global.end,
                                   slice.local_begin, segment.source_begin, static_cast<int64_t>(segment.row_order),
                                   segment.row_unit, int64_t{segment.transposed}}) {
        text += ' ' + std::to_string(number);
      }
    }
    text += '\n';
  }
  return text;
}

void ParamTable::allocate(PackedCopy* packed) {
  LONGSHIP_CHECK(packed == nullptr || kernels_.in_host_memory(), "packed weights are mapped into host memory");
  packed_ = packed;
  if (packed == nullptr) {
    memory_ = kernels_.allocate(DType::kU8, {bytes()});
  }
  std::byte* next = packed == nullptr ? memory_.data<std::byte>() : packed->data();
  for (Param& param : params_) {
    if (!param.is_matrix()) {
      param.values = Tensor::wrap(DType::kF32, param.local, next);
      next += Tensor::aligned_bytes(param.values.bytes());
    }
    for (Weight& part : param.parts) {
      part.data = next;
      next += Tensor::aligned_bytes(kernels_.packed_bytes(part.dtype, part.rows, part.columns));
    }
  }
  copied_tables_ = next;
}

void ParamTable::load(const LoadProgress& progress) {
  if (packed_ != nullptr && packed_->complete()) {
    progress(source_bytes());
    return;
  }
  const std::unique_ptr<Stream> stream = kernels_.make_stream();
  for (Param& param : params_) {
    if (param.is_matrix()) {
      load_matrix(param, progress);
    } else {
      load_vector(param, *stream, progress);
    }
  }
  load_tables(*stream, progress);
  stream->synchronise();
  if (packed_ != nullptr) {
    packed_->publish();
  }
}

void ParamTable::load_tables(Stream& stream, const LoadProgress& progress) {
  if (kernels_.in_host_memory()) {
    return;
  }
  constexpr int64_t kPieceBytes = int64_t{1} << 24;
  Bytes piece;
  std::byte* to = copied_tables_;
  for (StoredMatrix& table : tables_) {
    const int64_t row_bytes = table.row_bytes();
    const int64_t most = std::max<int64_t>(1, kPieceBytes / row_bytes);
    for (int64_t row = 0; row < table.rows; row += most) {
      const int64_t rows = std::min(most, table.rows - row);
      piece.clear();
      for (int64_t i = row; i < row + rows; ++i) {
        piece.insert(piece.end(), table.row(i), table.row(i) + row_bytes);
      }
      Tensor copied = Tensor::wrap(DType::kU8, {rows * row_bytes}, to + row * row_bytes);
      kernels_.write(piece.data(), copied, stream);
      progress(rows * row_bytes);
    }
    table.data = to;
    table.stride_bytes = row_bytes;
    to += Tensor::aligned_bytes(table.rows * row_bytes);
  }
}

void ParamTable::load_vector(Param& param, Stream& stream, const LoadProgress& progress) {
  std::vector<float> values(static_cast<std::size_t>(param.local[0]));
  for (const Slice& slice : slices(param.spec, tp_, tp_rank_)) {
    const SliceReader reader(source_, param.spec, slice);
    const Bytes stored = reader.read_rows(0, slice.global.size());
    dequantize(reader.dtype(), stored.data(), slice.global.size(), values.data() + slice.local_begin);
    progress(static_cast<int64_t>(stored.size()));
  }
  kernels_.write(values.data(), param.values, stream);
}

void ParamTable::load_matrix(Param& param, const LoadProgress& progress) {
  const std::vector<Slice> owned = slices(param.spec, tp_, tp_rank_);
  MatrixBuffer buffer;
  for (std::size_t i = 0; i < owned.size(); ++i) {
    Weight& part = param.parts[i];
    const SliceReader reader(source_, param.spec, owned[i]);
    constexpr int64_t kRows = 16 * Kernels::kPackRows;
    for (int64_t row = 0; row < part.rows && part.columns > 0; row += kRows) {
      const int64_t rows = std::min(kRows, part.rows - row);
      kernels_.pack(reader.matrix_rows(row, row + rows, buffer), row, part);
      progress(reader.bytes(rows));
    }
  }
}

}  // namespace longship
