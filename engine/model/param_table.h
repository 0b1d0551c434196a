#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "engine/backend/kernels.h"
#include "engine/weights/packed_copy.h"
#include "engine/weights/weight_source.h"
#include "parallel/shard.h"

namespace longship {

/// This rank's part of a parameter. A matrix is a list of parts, one for each segment along the rows, in the
/// layout of the backend; a vector is f32.
struct Param {
  ParamSpec spec;
  Shape local;                ///< Shape of this rank's part.
  std::vector<Weight> parts;  ///< Matrix; memory after allocate(), values after load().
  Tensor values;              ///< Vector.

  bool is_matrix() const { return local.size() == 2; }
};

/// Called while weights load with the bytes read since the last call, from the thread that loads.
using LoadProgress = std::function<void(int64_t bytes)>;

/// The parameters of one rank: declared once, in the constructors of the model's parts, then counted, allocated
/// and loaded from that declaration. Not synchronised; Params live as long as the table.
class ParamTable {
 public:
  /// `source` outlives the table; declaring reads only its headers.
  ParamTable(WeightSource& source, Kernels& kernels, int tp, int tp_rank);

  int tp() const { return tp_; }
  int tp_rank() const { return tp_rank_; }
  WeightSource& source() const { return source_; }
  /// Stored type of a source tensor of this shape. Errors: kModelFile if it is missing.
  DType stored_dtype(const std::string& source_name, const Shape& shape) const;

  /// Adds a parameter; fills spec.dtypes from the source. Errors: kModelFile if a source tensor is missing or
  /// has another shape than declared.
  Param* declare(ParamSpec spec);
  /// A matrix [rows, columns] that is looked up row by row as it is stored: in the mapped file, without memory of its
  /// own, or after load() in a copy where the device cannot read host memory. Lives as long as the table.
  const StoredMatrix* declare_table(const std::string& source_name, int64_t rows, int64_t columns);

  const std::deque<Param>& params() const { return params_; }
  /// Bytes that allocate() takes.
  int64_t bytes() const;
  /// Bytes that load() asks of the source.
  int64_t source_bytes() const;
  /// Largest number of columns of a matrix here.
  int64_t max_columns() const;

  /// All that the packed bytes depend on besides the checkpoint's files.
  std::string facts() const;

  /// Takes memory of the device, or, where that is the host's, that of `packed`, of bytes() bytes, which outlives the
  /// table.
  void allocate(PackedCopy* packed = nullptr);
  /// Reads exactly this rank's slices, unless a complete copy has them; publishes one that had not. Errors:
  /// kModelFile, kUsage.
  void load(const LoadProgress& progress);

 private:
  const SourceTensor& require(const std::string& source_name, const Shape& shape) const;
  int64_t copied_table_bytes() const;
  void load_tables(Stream& stream, const LoadProgress& progress);
  void load_vector(Param& param, Stream& stream, const LoadProgress& progress);
  void load_matrix(Param& param, const LoadProgress& progress);

  WeightSource& source_;
  Kernels& kernels_;
  int tp_;
  int tp_rank_;
  std::deque<Param> params_;
  std::deque<StoredMatrix> tables_;
  std::byte* copied_tables_ = nullptr;  // where load() puts them, one after the other
  Tensor memory_;
  PackedCopy* packed_ = nullptr;
};

}  // namespace longship
