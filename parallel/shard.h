#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/range.h"
#include "core/tensor.h"

namespace longship {

/// The units that `rank` of `ranks` owns. An even number of ranks splits ranks and units in half together
/// (units at the ceiling, as the reduction tree does), an odd number as equally as possible, larger first.
/// An empty share is legal.
Range share(int64_t units, int ranks, int rank);

/// The layers of each pipeline stage: contiguous, as equal as possible, larger first.
Range stage_layers(int64_t layers, int stages, int stage);

/// How the rows of a source tensor stand in its file.
enum class RowOrder : uint8_t {
  kAsStored,
  kRotaryPairs,  ///< Within each unit, rows 2i and 2i + 1 are rows i and unit / 2 + i of the model (GGUF "llama" q and
                 ///< k).
};

/// One source tensor's part of a parameter.
struct Segment {
  std::string source;         ///< Name in the checkpoint.
  int64_t extent = 0;         ///< Values along the cut dimension.
  int64_t unit = 1;           ///< Smallest run that stays whole; the last may be short.
  bool replicable = false;    ///< Owned by every rank whose share of the first segment reads it (key/value heads).
  int64_t source_begin = 0;   ///< Where the segment begins along dimension 0 of a fused source ...
  int64_t source_extent = 0;  ///< ... of this extent; 0: the source is the segment.
  RowOrder row_order = RowOrder::kAsStored;
  int64_t row_unit = 0;     ///< Rows over which row_order permutes (head_dim).
  bool transposed = false;  ///< The source is stored (in, out).

  int64_t units() const { return (extent + unit - 1) / unit; }
};

/// How a parameter is cut over the tp axis. Declared once, read by planner, allocator, loader and forward pass.
struct ShardSpec {
  int dim = -1;            ///< The dimension that is cut; -1: replicated.
  bool contracts = false;  ///< The cut dimension is summed over: outputs are partial sums, to be reduced.
  std::vector<Segment> segments;
};

/// A parameter of a block: a matrix [rows, columns] or a vector [rows], made of the segments one after the
/// other along dimension 0 (or, when `shard.dim` is 1, of its one segment).
struct ParamSpec {
  std::string name;
  std::vector<DType> dtypes;  ///< Stored type of each segment.
  Shape global;
  ShardSpec shard;
};

/// What a rank owns of one source tensor, in values along `dim` of the model's order.
struct Slice {
  std::size_t segment = 0;
  Range global;             ///< Within the segment.
  int64_t local_begin = 0;  ///< Within the rank's parameter.
};

/// What rank `tp_rank` of `tp` owns: one slice for each segment, possibly empty.
std::vector<Slice> slices(const ParamSpec& spec, int tp, int tp_rank);
/// Shape of the rank's part.
Shape local_shape(const ParamSpec& spec, int tp, int tp_rank);
/// First unit of each rank's share of the first segment, and the end: tp + 1 numbers.
std::vector<int32_t> unit_bounds(const ParamSpec& spec, int tp);

}  // namespace longship
