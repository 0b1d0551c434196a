#pragma once

#include <chrono>
#include <memory>

#include "comm/cuda/device_group.h"

namespace longship::conformance {

/// `inner`, but its groups move device memory: each operation copies the tensors that a test gives to memory of the
/// device of just that size, does the same there and copies the results back. So one suite tests every transport.
/// `inner` outlives it.
std::unique_ptr<Transport> make_device_transport(Transport& inner, DeviceWire wire, std::chrono::milliseconds deadline);

/// A group of `transport` as the engine would have it, for tensors of the device.
std::unique_ptr<Communicator> device_group(Transport& transport, DeviceWire wire, std::chrono::milliseconds deadline);

}  // namespace longship::conformance
