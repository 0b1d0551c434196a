#pragma once

#include <cstdint>

#include "cuda/api.h"

namespace longship::cuda {

/// Reads `bytes` bytes, a multiple of 16; `sums`, a word a block of threads, depend on all of them.
inline constexpr int kRooflineThreads = 256;
void launch_read(const void* from, int64_t bytes, int blocks, unsigned* sums, StreamHandle stream);

/// Copies `bytes` bytes, a multiple of 16.
void launch_copy(const void* from, int64_t bytes, int blocks, void* to, StreamHandle stream);

/// Multiply-adds of f32 on independent chains; returns the operations of a launch. `values` [blocks, threads].
int64_t launch_multiply(int blocks, int rounds, float* values, StreamHandle stream);

}  // namespace longship::cuda
