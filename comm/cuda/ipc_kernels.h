#pragma once

#include <cstdint>

#include "comm/cuda/ipc_view.h"
#include "cuda/api.h"
#include "cuda/row_norm.h"

namespace longship {

/// The nodes of this rank, the tree of all ranks' nodes and where its root goes, for every element of a tensor.
struct IpcReduction {
  TreeProgram tree;
  const float* nodes = nullptr;  ///< [nodes of this rank, count]
  float* out = nullptr;          ///< [count]; may be `nodes` where every rank has one.
  int64_t count = 0;
  IpcFailure::Operation operation = IpcFailure::kTreeReduce;
};

/// What becomes of a sum, row by row; see AddNorm.
struct IpcAddNorm {
  const float* bias = nullptr;  ///< [width], or null
  cuda::RowNorm norm;
  float* hidden = nullptr;  ///< [count]
  float* normed = nullptr;  ///< [count]
};

/// This rank's part, and where the parts of all go, in words of four bytes.
struct IpcGather {
  const uint32_t* part = nullptr;
  uint32_t* out = nullptr;
  int64_t first[IpcView::kMostRanks + 1] = {};  ///< Of each rank's part in `out`; then their end.
};

/// All ranks of the view together: writes the parts of all into `out` on each.
void ipc_all_gather(const IpcView& view, const IpcGather& gather, cuda::StreamHandle stream);

/// All ranks of the view together: writes the root into `out` on each. Small tensors take one round, in which everyone
/// gets all nodes; in large ones each rank adds up its part of the elements and hands it to the others.
void ipc_reduce(const IpcView& view, const IpcReduction& reduction, cuda::StreamHandle stream);

/// Whether ipc_reduce_add_norm takes rows of `width` values: small tensors, of which a slot holds a row.
bool ipc_takes_rows(const IpcReduction& reduction, int64_t width);
/// All ranks of the view together, in one round: the root, then what `then` says, without writing the root.
void ipc_reduce_add_norm(const IpcView& view, const IpcReduction& reduction, const IpcAddNorm& then,
                         cuda::StreamHandle stream);

}  // namespace longship
