#pragma once

#include <cstdint>

#include "comm/cuda/ipc_view.h"
#include "cuda/api.h"

namespace longship {

/// The nodes of this rank, the tree of all ranks' nodes and where its root goes, for every element of a tensor.
struct IpcReduction {
  TreeProgram tree;
  const float* nodes = nullptr;  ///< [nodes of this rank, count]
  float* out = nullptr;          ///< [count]; may be `nodes` where every rank has one.
  int64_t count = 0;
  IpcFailure::Operation operation = IpcFailure::kTreeReduce;
};

/// All ranks of the view together: writes the root into `out` on each. Small tensors take one round, in which everyone
/// gets all nodes; in large ones each rank adds up its part of the elements and hands it to the others.
void ipc_reduce(const IpcView& view, const IpcReduction& reduction, cuda::StreamHandle stream);

}  // namespace longship
