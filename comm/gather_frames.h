#pragma once

#include <vector>

#include "comm/communicator.h"
#include "core/bytes.h"

namespace longship {

/// Collective: the bytes of all ranks of `group`, each rank's in a frame of its own and in their order, on its rank 0;
/// nothing elsewhere. Any lengths.
std::vector<Bytes> gather_frames(Communicator& group, const Bytes& mine);

}  // namespace longship
