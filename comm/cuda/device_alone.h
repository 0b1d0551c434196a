#pragma once

#include <memory>

#include "comm/communicator.h"

namespace longship {

/// A group of one rank for tensors of its device: every operation is the identity, a copy at most. `host` is that group
/// for tensors in host memory, which the result owns.
std::unique_ptr<Communicator> make_device_alone(std::unique_ptr<Communicator> host);

}  // namespace longship
