#pragma once

#include <memory>

#include "comm/communicator.h"
#include "comm/cuda/nccl_comms.h"
#include "comm/device_groups.h"

namespace longship {

/// A group of ranks with a device each that talk over NCCL. Reductions of the model are exchanges of nodes and sums,
/// added up by a kernel in the order of the tree, bit-equal to every other transport; the rest are NCCL's own
/// collectives. Messages between neighbours have a way of their own each; others, which no model sends, go through
/// `staged`, the same ranks' way through host memory. Errors of NCCL, and a wait for the stream beyond the deadline of
/// `comms`, end the communicator and throw kRank. Owns both.
std::unique_ptr<Communicator> make_nccl_communicator(std::unique_ptr<NcclComms> comms,
                                                     std::unique_ptr<Communicator> staged, const GroupTraffic& most);

/// Bytes of its device that rank `rank` of `ranks` takes for that, without what NCCL has for itself.
int64_t nccl_group_bytes(int rank, int ranks, const GroupTraffic& most);

}  // namespace longship
