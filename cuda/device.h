#pragma once

// What the source of a kernel includes: the vocabulary of CUDA C++ that kernels may use, for nvcc and, with
// LONGSHIP_CUDA_EMULATED, for the host's compiler (tests/cuda_emulator/device.h declares the same names).
//
// Qualifiers __global__, __device__, __host__, __forceinline__, __launch_bounds__(n), __restrict__; threadIdx,
// blockIdx, blockDim, gridDim; __syncthreads(), __syncwarp(mask); __shfl_sync, __shfl_up_sync, __shfl_down_sync,
// __shfl_xor_sync, __ballot_sync, __any_sync, __all_sync with full or partial masks, of whole warps (no width);
// atomicAdd, atomicMax, atomicMin, atomicOr, atomicExch, atomicCAS on integers; __threadfence(),
// __threadfence_system(); fmaf, fmaxf, fminf, sqrtf, rintf, fabsf, __float_as_uint and kin, __longlong_as_double;
// __popc, __clz, __ffs, __umulhi, __dp4a, min and max of ints; int2, int4, uint2, uint4, float2, float4 and make_*.
// Everything that needs PTX is a function of cuda/ptx.h. All shared memory is dynamic and taken through SharedMemory,
// so that an emulation can see every access (an element is copied into a variable of its own type, not auto):
//
//   __global__ void kernel(const float* x, int n) {
//     SharedMemory memory;
//     Shared<float> tile = memory.take<float>(n);
//     tile[threadIdx.x] = x[threadIdx.x];
//     __syncthreads();
//     ...
//   }

#if defined(LONGSHIP_CUDA_EMULATED)

#include "tests/cuda_emulator/device.h"

#else

#include <cstddef>
#include <cstdint>

namespace longship::cuda {

/// An array in a block's shared memory. Read and written through [] only, whole elements at a time; + makes a view of
/// the rest, & of an element is for atomics.
template <class T>
using Shared = T*;

/// The same bytes as elements of another type, no smaller than the smaller of 4 bytes and those of take<>.
template <class To, class From>
__device__ __forceinline__ Shared<To> shared_cast(From* array) {
  return reinterpret_cast<To*>(array);
}

extern __shared__ __align__(1024) unsigned char shared_bytes_of_block[];

/// Hands out the dynamic shared memory of a block, piece after piece, each aligned to 16 bytes. Every thread makes the
/// same calls.
class SharedMemory {
 public:
  template <class T>
  __device__ Shared<T> take(int count) {
    T* piece = reinterpret_cast<T*>(shared_bytes_of_block + used_);
    used_ += (count * static_cast<int>(sizeof(T)) + 15) / 16 * 16;
    return piece;
  }

 private:
  int used_ = 0;
};

/// Called in loops that wait for another block or rank.
__device__ __forceinline__ void spin_pause() {
  __nanosleep(20);
}

}  // namespace longship::cuda

#endif

namespace longship::cuda {

/// Bytes of shared memory of an array that SharedMemory::take<T>(count) hands out.
template <class T>
constexpr std::size_t shared_bytes(std::size_t count) {
  return (count * sizeof(T) + 15) / 16 * 16;
}

inline constexpr int kWarp = 32;
inline constexpr unsigned kFullMask = 0xFFFFFFFFU;

}  // namespace longship::cuda
