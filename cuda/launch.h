#pragma once

#include "cuda/api.h"
#include "cuda/device.h"

namespace longship::cuda {

/// How many threads a kernel gets, with how much memory, after what.
struct LaunchShape {
  Dim3 grid;
  Dim3 block;
  std::size_t shared_bytes = 0;
  StreamHandle stream = nullptr;
  /// Every thread of the kernel calls wait_for_kernels_before(): it may begin before these have ended.
  bool overlaps = false;
};

/// Starts `kernel` on a stream; the one way in which kernels are started. Arguments are converted to the kernel's
/// parameter types. A grid without blocks starts nothing. Errors: as check().
#if defined(LONGSHIP_CUDA_EMULATED)

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const char* name, const LaunchShape& shape, Arguments... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments));
  if (shape.grid.x * shape.grid.y * shape.grid.z == 0) {
    return;
  }
  const auto start = [&](Parameters... parameters) {
    (emulator::check_argument(name, parameters), ...);
    emulator::enqueue_kernel(name, shape, [=] { kernel(parameters...); });
  };
  start(static_cast<Parameters>(arguments)...);
}

#else

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const char* name, const LaunchShape& shape, Arguments... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments));
  if (shape.grid.x * shape.grid.y * shape.grid.z == 0) {
    return;
  }
  constexpr std::size_t kUsualSharedBytes = 48 * 1024;
  const void* address = reinterpret_cast<const void*>(kernel);
  if (shape.shared_bytes > kUsualSharedBytes) {
    check(api().set_max_shared_bytes(address, static_cast<int>(shape.shared_bytes)), name);
  }
  const auto start = [&](Parameters... parameters) {
    void* pointers[] = {const_cast<void*>(static_cast<const void*>(&parameters))..., nullptr};
    check(api().launch_kernel(address, shape.grid, shape.block, pointers, shape.shared_bytes, shape.overlaps,
                              shape.stream),
          name);
  };
  start(static_cast<Parameters>(arguments)...);
}

#endif

}  // namespace longship::cuda
