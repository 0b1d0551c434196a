#include "cuda/launch.h"
#include "cuda/ptx.h"

// Calls every function of cuda/ptx.h once, so that nvcc and ptxas see all of its PTX, used by a kernel or not.

namespace longship::cuda {

__global__ void every_function(const uint4* in, uint32_t* out, float* sums, int n) {
  SharedMemory memory;
  Shared<uint16_t> tile = memory.take<uint16_t>(256);
  cp_async_16(tile + threadIdx.x * 8, in + threadIdx.x, static_cast<int>(threadIdx.x) < n);
  cp_async_commit();
  cp_async_wait<0>();
  __syncthreads();
  uint32_t a[4];
  uint32_t b[4];
  ldmatrix_x4(a, tile + threadIdx.x * 8);
  ldmatrix_x4_trans(b, tile + threadIdx.x * 8);
  const uint32_t columns[2] = {b[0], b[1]};
  float d[4] = {};
  mma_m16n8k16_bf16(d, a, columns);
  mma_m16n8k16_f16(d, a, columns);
  const float first = float_from_bf16(shared_cast<uint16_t>(shared_cast<float4>(tile))[1]);
  sums[threadIdx.x] = d[0] + float_from_bf16(bf16_from_float(d[1])) + float_from_f16(f16_from_float(d[2])) +
                      exp2_approximate(d[3]) + first;
  const uint4 wide = load_nc_16(in);
  sums[32 + threadIdx.x] = floats_from_e4m3(static_cast<uint16_t>(wide.y)).x;
  out[0] = multiply_f16(f16_from_bytes<false>(wide.z), f16_from_bytes<true>(wide.w)) + wide.x + pack_bf16(d[1], d[2]) +
           pack_f16(d[2], d[3]);
  const uint64_t deadline = global_timer_ns() + 1000;
  while (load_acquire_system(out + 1) == 0) {
    spin_pause();
    if (global_timer_ns() > deadline) {
      trap();
    }
  }
  store_release_system(out + 2, 1);
  out[3] = add_acquire_release(out + 4, 1);
}

__global__ void every_hopper_function([[maybe_unused]] const __grid_constant__ TensorMap map,
                                      [[maybe_unused]] float* sums) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  SharedMemory memory;
  const Shared<uint16_t> box = memory.take<uint16_t>(64 * 64);
  const Shared<uint64_t> barrier = memory.take<uint64_t>(1);
  lower_registers<160>();
  raise_registers<168>();
  if (threadIdx.x == 0) {
    mbarrier_init(barrier, 2);
    mbarrier_fence_init();
    copy_box(box, map, 0, 0, 0, barrier);
    mbarrier_arrive_expect(barrier, 64 * 64 * 2);
    mbarrier_arrive(barrier);
  }
  named_barrier_arrive(1, 256);
  named_barrier_sync(2, 128);
  mbarrier_wait(barrier, 0);
  fence_async_proxy();
  const MatrixDescriptor matrix = matrix_descriptor(box, 0, 1024);
  const uint32_t registers[4] = {1, 2, 3, 4};
  float narrow[32] = {};
  float wide[64] = {};
  wgmma_fence();
  wgmma_m64k16<true, 64>(narrow, matrix, advance(matrix, 32), true);
  wgmma_m64k16<false, 64>(narrow, registers, matrix, true);
  wgmma_commit();
  wgmma_m64k16<false, 128>(wide, matrix, matrix, true);
  wgmma_m64k16<true, 128>(wide, registers, matrix, true);
  wgmma_commit();
  wgmma_wait<1>(narrow);
  wgmma_wait<0>(wide);
  sums[threadIdx.x] = narrow[threadIdx.x % 2] + wide[0];
#endif
}

void launch_every_function(const uint4* in, uint32_t* out, float* sums, StreamHandle stream) {
  launch(every_function, "every_function", {{1}, {32}, shared_bytes<uint16_t>(256), stream}, in, out, sums, 32);
}

}  // namespace longship::cuda
