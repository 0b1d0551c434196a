#pragma once

#include <algorithm>
#include <atomic>

#include "tests/cuda_emulator/shared.h"

// CUDA's atomic functions: relaxed, on global memory or on elements of shared memory.

namespace longship::cuda::emulator {

/// The address of a shared element that the running thread changes atomically.
template <class T>
T* atomic_address(SharedPointer<T> pointer) {
  check_shared_write(*pointer.piece, pointer.offset, sizeof(T), ShadowCell::Write::kAtomic);
  return reinterpret_cast<T*>(pointer.piece->data + pointer.offset);
}
template <class T>
T* atomic_address(T* pointer) {
  return pointer;
}

/// Replaces *address by change(*address); returns what was there.
template <class T, class Change>
T atomic_change(T* address, Change change) {
  std::atomic_ref<T> cell(*address);
  T old = cell.load(std::memory_order_relaxed);
  while (!cell.compare_exchange_weak(old, change(old), std::memory_order_relaxed)) {
  }
  return old;
}

/// T of a T* or a SharedPointer<T>.
template <class Pointer>
using Atomic = std::remove_pointer_t<decltype(atomic_address(std::declval<Pointer>()))>;

}  // namespace longship::cuda::emulator

template <class Pointer, class T = longship::cuda::emulator::Atomic<Pointer>>
T atomicAdd(Pointer address, std::type_identity_t<T> value) {
  static_assert(std::is_integral_v<T>, "sums of floats in no fixed order differ from run to run");
  return std::atomic_ref<T>(*longship::cuda::emulator::atomic_address(address))
      .fetch_add(value, std::memory_order_relaxed);
}
template <class Pointer, class T = longship::cuda::emulator::Atomic<Pointer>>
T atomicMax(Pointer address, std::type_identity_t<T> value) {
  return longship::cuda::emulator::atomic_change(longship::cuda::emulator::atomic_address(address),
                                                 [&](T old) { return std::max(old, value); });
}
template <class Pointer, class T = longship::cuda::emulator::Atomic<Pointer>>
T atomicMin(Pointer address, std::type_identity_t<T> value) {
  return longship::cuda::emulator::atomic_change(longship::cuda::emulator::atomic_address(address),
                                                 [&](T old) { return std::min(old, value); });
}
template <class Pointer, class T = longship::cuda::emulator::Atomic<Pointer>>
T atomicOr(Pointer address, std::type_identity_t<T> value) {
  return longship::cuda::emulator::atomic_change(longship::cuda::emulator::atomic_address(address),
                                                 [&](T old) { return static_cast<T>(old | value); });
}
template <class Pointer, class T = longship::cuda::emulator::Atomic<Pointer>>
T atomicExch(Pointer address, std::type_identity_t<T> value) {
  return longship::cuda::emulator::atomic_change(longship::cuda::emulator::atomic_address(address),
                                                 [&](T) { return value; });
}
template <class Pointer, class T = longship::cuda::emulator::Atomic<Pointer>>
T atomicCAS(Pointer address, std::type_identity_t<T> compare, std::type_identity_t<T> value) {
  T expected = compare;
  std::atomic_ref<T>(*longship::cuda::emulator::atomic_address(address))
      .compare_exchange_strong(expected, value, std::memory_order_relaxed);
  return expected;
}
