#pragma once

// CUDA C++ for the host's compiler: what cuda/device.h promises to kernels.

#include <cstddef>
#include <cstdint>
#include <functional>

#include "tests/cuda_emulator/atomics.h"
#include "tests/cuda_emulator/shared.h"
#include "tests/cuda_emulator/vector_types.h"
#include "tests/cuda_emulator/warp.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__

namespace longship::cuda {

struct LaunchShape;

namespace emulator {

/// Fails unless the device may use what a pointer points to.
void check_pointer(const char* kernel, const void* pointer);
template <class T>
void check_argument(const char* kernel, const T& argument) {
  if constexpr (std::is_pointer_v<T> && !std::is_function_v<std::remove_pointer_t<T>>) {
    check_pointer(kernel, argument);
  }
}

/// Queues a launch of `body`, which calls the kernel, once for each thread. `name` must outlive the process.
void enqueue_kernel(const char* name, const LaunchShape& shape, std::function<void()> body);

}  // namespace emulator
}  // namespace longship::cuda
