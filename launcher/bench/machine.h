#pragma once

#include "core/json.h"

namespace longship {

/// What a bench ran on, of this host: "host", "cpu", "cores" (that this process may use), "isa" (of the cpu backend's
/// kernels), "memory_bytes", "version" (of longship). Benches add "hosts" and "ranks" of their job.
Json describe_machine();

}  // namespace longship
