#pragma once

#include "bench/cuda/device_bench.h"

namespace longship {

/// What everything else is compared with: rows "copy" (within the device's memory), "read" and, where the library is,
/// "cuBLASLt bf16" (a square product).
void time_ceilings(DeviceBench& bench, const cuda::DeviceProperties& device);

/// A graph of as many kernels as a step of an 8B-class model has, which do next to nothing: what it costs the host to
/// launch it ("launch of a graph ..."), and the device to go from one kernel to the next ("kernel of a graph ...").
void time_empty_graph(DeviceBench& bench);

}  // namespace longship
