#pragma once

#include <memory>

#include "comm/communicator.h"

namespace longship {

/// The ranks of `host` for tensors of their devices: each operation copies them to pinned memory, does the same there
/// and copies the result back, so that it works wherever the ranks can talk. Waits for the stream. Owns `host`, which
/// is host() of the result.
std::unique_ptr<Communicator> make_host_staged(std::unique_ptr<Communicator> host);

}  // namespace longship
