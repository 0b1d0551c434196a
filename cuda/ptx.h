#pragma once

#include "cuda/device.h"
#include "cuda/tensor_map.h"

// Everything that kernels need of PTX beyond CUDA C++, declared here and defined once in PTX (PTX ISA 9.0, the sections
// named below) and once for the emulation.

namespace longship::cuda {

#if defined(LONGSHIP_CUDA_EMULATED)
namespace emulator {
struct MatrixDescriptor;
}
using MatrixDescriptor = emulator::MatrixDescriptor;
#else
using MatrixDescriptor = uint64_t;
#endif

/// Conversions of the 16-bit formats. To 16 bits: rounded to nearest, ties to even; f16 overflows to infinity; a NaN
/// stays one, with any payload.
__device__ __forceinline__ float float_from_bf16(uint16_t bits);
__device__ __forceinline__ float float_from_f16(uint16_t bits);
__device__ __forceinline__ uint16_t bf16_from_float(float value);
__device__ __forceinline__ uint16_t f16_from_float(float value);
/// Two at once: `low` in bits 0 to 15.
__device__ __forceinline__ uint32_t pack_bf16(float low, float high);
__device__ __forceinline__ uint32_t pack_f16(float low, float high);

/// (a & mask) | rest and (a & mask) ^ rest, in one instruction where both of the last are constants.
__device__ __forceinline__ uint32_t masked_or(uint32_t a, uint32_t mask, uint32_t rest);
__device__ __forceinline__ uint32_t masked_xor(uint32_t a, uint32_t mask, uint32_t rest);

/// a b + c of each half, bf16, rounded once.
__device__ __forceinline__ uint32_t fma_bf16x2(uint32_t a, uint32_t b, uint32_t c);

/// Of a word's signed bytes 0 and 2 (kOdd: 1 and 3) two values f16.
template <bool kOdd>
__device__ __forceinline__ uint32_t f16_from_bytes(uint32_t word);
/// Products of two values f16 each, rounded as above.
__device__ __forceinline__ uint32_t multiply_f16(uint32_t a, uint32_t b);

/// 2^x within a few units in the last place, by the hardware; 0 for -infinity, subnormal results may be 0.
__device__ __forceinline__ float exp2_approximate(float x);

/// Two values E4M3 (no infinities; 0x7F and 0xFF are NaN), that of the low byte first.
__device__ __forceinline__ float2 floats_from_e4m3(uint16_t both);

/// 16 bytes of global memory that no one writes while the kernel runs and that are read once: they are not kept in L1.
/// `address` is a multiple of 16.
__device__ __forceinline__ uint4 load_nc_16(const void* address);

/// d += a b for a [16, 16] by rows, b [16, 8] by columns and d [16, 8], by all lanes of a warp ("Matrix Fragments for
/// mma.m16n8k16 with floating point type"). Lane l holds, with g = l / 4 and t = l % 4:
/// a[0], a[1] rows g and g + 8 at columns 2t and 2t + 1; a[2], a[3] the same rows at columns 2t + 8 and 2t + 9;
/// b[0] column g at rows 2t and 2t + 1, b[1] at rows 2t + 8 and 2t + 9; d[0], d[1] row g at columns 2t and 2t + 1,
/// d[2], d[3] row g + 8. Of two elements in 32 bits the first is the low one. The order of the sum is the hardware's;
/// the emulation adds by ascending k in f32.
__device__ __forceinline__ void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
__device__ __forceinline__ void mma_m16n8k16_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);

/// Four matrices of [8, 8] 16-bit elements from shared memory, by all lanes of a warp. Lane l gives the beginning of
/// row l % 8 (16 bytes, aligned) of matrix l / 8, and gets in r[m] of matrix m row l / 4 at columns 2(l % 4) and the
/// next: the fragments of mma, matrix by matrix. _trans: of the transposed matrix. Rows begin `offset` elements behind
/// `row`; apart, so that what is constant can be part of the instruction.
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&r)[4], Shared<uint16_t> row);
__device__ __forceinline__ void ldmatrix_x4_trans(uint32_t (&r)[4], Shared<uint16_t> row, int offset = 0);

/// Starts to copy 16 bytes, both sides aligned, from global to shared memory, or to fill them with zeros if not `valid`
/// (`from` may then be anything). Visible to the thread after a cp_async_wait that covers it, to others after a barrier
/// besides.
template <class T>
__device__ __forceinline__ void cp_async_16(Shared<T> to, const void* from, bool valid = true);
/// Makes a group of the copies since the last group; it may be empty.
__device__ __forceinline__ void cp_async_commit();
/// Waits until at most kPending of the thread's latest groups are still under way.
template <int kPending>
__device__ __forceinline__ void cp_async_wait();

/// Flags that ranks on other devices or in other processes read and write (`address` may be imported memory).
__device__ __forceinline__ uint32_t load_acquire_system(const uint32_t* address);
__device__ __forceinline__ void store_release_system(uint32_t* address, uint32_t value);
/// A counter of this device's blocks: returns the old value; orders as acquire and release.
__device__ __forceinline__ uint32_t add_acquire_release(uint32_t* address, uint32_t value);

/// Waits until the kernels before this one on the stream have ended and what they wrote can be seen: before anything is
/// read that these write, or written that they read. Whoever is launched with LaunchShape::overlaps calls it.
__device__ __forceinline__ void wait_for_kernels_before();
/// Lets the next kernel on the stream begin, if it may overlap, once all blocks have called this or ended.
__device__ __forceinline__ void let_next_kernel_begin();

/// Nanoseconds since some moment, the same on all multiprocessors.
__device__ __forceinline__ uint64_t global_timer_ns();

/// Ends the kernel as failed; the process can use the device no more.
__device__ __forceinline__ void trap();

/// What follows needs compute capability 9.0 with its own features (sm_90a).

/// A barrier in 8 bytes of shared memory for threads and bulk copies ("mbarrier"). A phase is over when as many
/// arrivals as the barrier was made for, and all bytes that were announced, have come; the next begins at once.
/// To be made by one thread, followed by mbarrier_fence_init() and __syncthreads().
__device__ __forceinline__ void mbarrier_init(Shared<uint64_t> barrier, int arrivals);
__device__ __forceinline__ void mbarrier_fence_init();
__device__ __forceinline__ void mbarrier_arrive(Shared<uint64_t> barrier);
/// Arrives and announces bytes that copies will bring.
__device__ __forceinline__ void mbarrier_arrive_expect(Shared<uint64_t> barrier, int bytes);
/// Waits until the phase number n is over, of which `parity` is n % 2; at most the phase after it may be under way.
__device__ __forceinline__ void mbarrier_wait(Shared<uint64_t> barrier, int parity);

/// Barriers `id` from 1 to 15 of some warps of a block, `threads` threads in all; arrive does not wait. Threads of the
/// same warp call it together.
__device__ __forceinline__ void named_barrier_sync(int id, int threads);
__device__ __forceinline__ void named_barrier_arrive(int id, int threads);

/// Starts to copy a box from (x, y, z) on of a TensorMap to shared memory, aligned to 1,024 bytes, by one thread. The
/// 16-byte pieces of each row of 128 bytes come permuted: piece p of row r to p ^ (r % 8). Outside of the tensor are
/// zeros. All bytes of the box arrive at `barrier`. The map is a __grid_constant__ parameter of the kernel.
__device__ __forceinline__ void copy_box(Shared<uint16_t> to, const TensorMap& map, int x, int y, int z,
                                         Shared<uint64_t> barrier);
/// Orders the thread's accesses to shared memory before those of copies and of wgmma that other synchronisation orders
/// after them.
__device__ __forceinline__ void fence_async_proxy();

/// Registers of each thread of the warpgroup from here on; a multiple of 8.
template <int kRegisters>
__device__ __forceinline__ void raise_registers();
template <int kRegisters>
__device__ __forceinline__ void lower_registers();

/// A matrix of 16-bit elements in shared memory, in rows of 128 bytes permuted as copy_box() does, eight rows in 1,024
/// bytes on end. For rows of the matrix that lie along its inner dimension ("K-major") the next eight rows are
/// `stride_bytes` on. Rows along the outer dimension ("MN-major") hold 64 elements of it: the next 64 are
/// `leading_bytes` on, and the next eight of the inner dimension `stride_bytes`.
__device__ __forceinline__ MatrixDescriptor matrix_descriptor(Shared<uint16_t> begin, int leading_bytes,
                                                              int stride_bytes);
__device__ __forceinline__ MatrixDescriptor advance(MatrixDescriptor matrix, int bytes);

/// Starts d = a b, or d += a b if `add`, by the 128 threads of a warpgroup ("wgmma"): a is [64, 16], b [16, N] MN-major
/// for d of N / 2 values a thread: 128 or 64. Warp w has rows 16 w to 16 w + 15 of a and d; its lanes have d as that of
/// N / 8 mma_m16n8k16 side by side, and a from registers as that has it; from shared memory a is K-major. d and a may
/// not be touched before wgmma_wait().
template <bool kBf16, int N>
__device__ __forceinline__ void wgmma_m64k16(float (&d)[N / 2], MatrixDescriptor a, MatrixDescriptor b, bool add);
template <bool kBf16, int N>
__device__ __forceinline__ void wgmma_m64k16(float (&d)[N / 2], const uint32_t (&a)[4], MatrixDescriptor b, bool add);
/// Before the first wgmma, and wherever registers that it uses were changed.
__device__ __forceinline__ void wgmma_fence();
/// Makes a group of the products since the last group.
__device__ __forceinline__ void wgmma_commit();
/// Waits until at most kPending of the latest groups are still under way; `d` is of one of those that are over.
template <int kPending, int kCount>
__device__ __forceinline__ void wgmma_wait(float (&d)[kCount]);

}  // namespace longship::cuda

#if defined(LONGSHIP_CUDA_EMULATED)
#include "tests/cuda_emulator/ptx.h"
#include "tests/cuda_emulator/ptx_hopper.h"
#else
#include "cuda/ptx_device.h"
#include "cuda/ptx_hopper_device.h"
#endif
