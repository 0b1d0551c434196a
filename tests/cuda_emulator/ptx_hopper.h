#pragma once

// The half of cuda/ptx.h for the host's compiler that is Hopper's.

#include "tests/cuda_emulator/async_units.h"

namespace longship::cuda {

namespace emulator {

inline AsyncUnits& async_units() {
  return current_thread->block->async_units();
}

}  // namespace emulator

inline void mbarrier_init(Shared<uint64_t> barrier, int arrivals) {
  emulator::async_units().make_barrier(*barrier.piece(), barrier.offset(), arrivals);
}
inline void mbarrier_fence_init() {}
inline void mbarrier_arrive(Shared<uint64_t> barrier) {
  emulator::async_units().arrive(*barrier.piece(), barrier.offset(), 0);
}
inline void mbarrier_arrive_expect(Shared<uint64_t> barrier, int bytes) {
  emulator::async_units().arrive(*barrier.piece(), barrier.offset(), bytes);
}
inline void mbarrier_wait(Shared<uint64_t> barrier, int parity) {
  emulator::async_units().await(*barrier.piece(), barrier.offset(), parity);
}

inline void named_barrier_sync(int id, int threads) {
  emulator::async_units().arrive_named(id, threads, true);
}
inline void named_barrier_arrive(int id, int threads) {
  emulator::async_units().arrive_named(id, threads, false);
}

inline void copy_box(Shared<uint16_t> to, const TensorMap& map, int x, int y, int z, Shared<uint64_t> barrier) {
  emulator::async_units().copy(*to.piece(), to.offset(), map, {x, y, z}, *barrier.piece(), barrier.offset());
}
inline void fence_async_proxy() {}

template <int kRegisters>
inline void raise_registers() {}
template <int kRegisters>
inline void lower_registers() {}

inline MatrixDescriptor matrix_descriptor(Shared<uint16_t> begin, int leading_bytes, int stride_bytes) {
  return {begin.piece(), begin.offset(), leading_bytes, stride_bytes};
}
inline MatrixDescriptor advance(MatrixDescriptor matrix, int bytes) {
  matrix.offset += bytes;
  return matrix;
}

template <bool kBf16, int N>
inline void wgmma_m64k16(float (&d)[N / 2], MatrixDescriptor a, MatrixDescriptor b, bool add) {
  emulator::async_units().multiply({N, kBf16, add, false, a, b}, d, nullptr);
}
template <bool kBf16, int N>
inline void wgmma_m64k16(float (&d)[N / 2], const uint32_t (&a)[4], MatrixDescriptor b, bool add) {
  emulator::async_units().multiply({N, kBf16, add, true, {}, b}, d, a);
}
inline void wgmma_fence() {}
inline void wgmma_commit() {
  emulator::async_units().commit_products();
}
template <int kPending, int kCount>
inline void wgmma_wait(float (&)[kCount]) {
  emulator::async_units().await_products(kPending);
}

}  // namespace longship::cuda
