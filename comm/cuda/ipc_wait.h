#pragma once

// How kernels of ranks wait for each other, by flags that hold numbers of rounds or messages.

#include "comm/cuda/ipc_view.h"
#include "cuda/device.h"
#include "cuda/ptx.h"

namespace longship {

/// Numbers wrap around.
__device__ __forceinline__ bool has_reached(uint32_t seen, uint32_t number) {
  return static_cast<int32_t>(seen - number) >= 0;
}

/// Until `flag`, which `peer` writes, has reached `number`. Gives up at the deadline, or at once where another wait was
/// in vain: the host ends the job.
__device__ __forceinline__ void wait_for(const uint32_t* flag, uint32_t number, const IpcPatience& patience,
                                         IpcFailure::Operation operation, int peer) {
  const uint64_t start = cuda::global_timer_ns();
  while (!has_reached(cuda::load_acquire_system(flag), number)) {
    if (cuda::load_acquire_system(patience.broken) != 0) {
      return;
    }
    if (cuda::global_timer_ns() - start > patience.deadline_ns) {
      cuda::store_release_system(patience.broken, 1U);
      cuda::store_release_system(patience.failure, operation * 256U + static_cast<uint32_t>(peer));
      return;
    }
    cuda::spin_pause();
  }
}

}  // namespace longship
