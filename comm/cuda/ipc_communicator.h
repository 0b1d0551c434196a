#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "comm/communicator.h"
#include "comm/device_groups.h"

namespace longship {

/// A group of ranks on one host whose reductions, all_gather() of values of four bytes, and messages between neighbours
/// in the ring of ranks, are kernels that reach straight into each other's device memory (CUDA IPC): sums in the order
/// of the tree, bit-equal to every other transport. What is rare goes through `staged`, the same ranks' way for device
/// tensors through host memory, which the result owns. A wait for a rank that does not come ends at the deadline, and
/// the next wait for the stream, or the next call, throws.
///
/// All ranks of `staged` together. Null on every rank, and `why`, where their devices cannot share memory; `staged` is
/// then left as it was.
std::unique_ptr<Communicator> make_ipc_communicator(std::unique_ptr<Communicator>& staged,
                                                    std::chrono::milliseconds deadline, const GroupTraffic& most,
                                                    std::string& why);

/// Bytes of its device that rank `rank` of `ranks` takes for that, messages of that size included; 0 for more ranks
/// than can meet so.
int64_t ipc_group_bytes(int rank, int ranks, const GroupTraffic& most);

}  // namespace longship
