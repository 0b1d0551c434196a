#pragma once

#include <cstddef>
#include <memory>

namespace longship::cuda {

/// Memory of the current device, released with its last owner. Null for no bytes. Errors: std::bad_alloc where the
/// device has no more.
std::shared_ptr<void> allocate_device(std::size_t bytes);

/// Pinned memory of the host, which copies to and from the device need to be asynchronous. Errors: std::bad_alloc.
std::shared_ptr<void> allocate_pinned(std::size_t bytes);

}  // namespace longship::cuda
