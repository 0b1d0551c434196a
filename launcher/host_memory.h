#pragma once

#include <cstdint>

namespace longship {

/// Bytes that processes of this host may still allocate: what the kernel calls available, within the limit of the
/// control group.
int64_t available_memory_bytes();

}  // namespace longship
