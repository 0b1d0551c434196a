#pragma once

#include <cstddef>

#include "cuda/api.h"
#include "tests/cuda_emulator/stream.h"

namespace longship::cuda::emulator {

/// As cudaMemcpyAsync: memory of the host that is not pinned is read before the call returns, and written as well.
Status copy_async(void* to, const void* from, std::size_t bytes, CopyKind kind, Stream* stream);
Status fill_async(void* memory, int byte, std::size_t bytes, Stream* stream);

}  // namespace longship::cuda::emulator
