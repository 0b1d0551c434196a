#pragma once

#include <cstdint>
#include <optional>

#include "comm/mpi_port.h"
#include "comm/shared_memory.h"

namespace longship {

/// All ranks of `port` together: memory of zeros that each of them has mapped and nobody else can open any more.
/// Nothing, on every rank, if one of them cannot share memory with the others. Errors: kRank at the deadline.
std::optional<SharedMemory> map_together(MpiPort& port, int64_t bytes);

}  // namespace longship
