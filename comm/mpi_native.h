#pragma once

#include <memory>

#include "comm/communicator.h"

namespace longship {

/// MPI's own all-reduce, all-gather, reduce-scatter and messages between all ranks of the job, which call this
/// together: what others are compared with. MPI chooses the order of sums, waits have no deadline, and values are f32,
/// fewer than 2^31 of them.
std::unique_ptr<Communicator> make_mpi_native();

}  // namespace longship
