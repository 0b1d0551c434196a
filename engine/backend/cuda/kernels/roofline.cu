#include "engine/backend/cuda/kernels/roofline.h"

#include "cuda/launch.h"
#include "cuda/ptx.h"

namespace longship::cuda {

namespace {

constexpr int kChains = 8;

__global__ void __launch_bounds__(kRooflineThreads) read_kernel(const uint4* from, int64_t count, unsigned* sums) {
  SharedMemory memory;
  const Shared<unsigned> parts = memory.take<unsigned>(kRooflineThreads);
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kRooflineThreads;
  unsigned sum = 0;
#pragma unroll 8
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kRooflineThreads + threadIdx.x; i < count; i += stride) {
    const uint4 value = load_nc_16(from + i);
    sum += value.x + value.y + value.z + value.w;
  }
  parts[threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int i = 1; i < kRooflineThreads; ++i) {
      sum += parts[i];
    }
    sums[blockIdx.x] = sum;
  }
}

__global__ void __launch_bounds__(kRooflineThreads) multiply_kernel(int rounds, float* values) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kRooflineThreads + threadIdx.x;
  float chains[kChains];
  for (int i = 0; i < kChains; ++i) {
    chains[i] = static_cast<float>(i);
  }
  const float factor = values[index];
  for (int round = 0; round < rounds; ++round) {
#pragma unroll
    for (int i = 0; i < kChains; ++i) {
      chains[i] = fmaf(chains[i], factor, factor);
    }
  }
  float sum = 0;
  for (int i = 0; i < kChains; ++i) {
    sum = sum + chains[i];
  }
  values[index] = sum;
}

}  // namespace

void launch_read(const void* from, int64_t bytes, int blocks, unsigned* sums, StreamHandle stream) {
  const LaunchShape shape{.grid = {static_cast<unsigned>(blocks)},
                          .block = {kRooflineThreads},
                          .shared_bytes = shared_bytes<unsigned>(kRooflineThreads),
                          .stream = stream};
  launch(read_kernel, "read", shape, static_cast<const uint4*>(from), bytes / 16, sums);
}

int64_t launch_multiply(int blocks, int rounds, float* values, StreamHandle stream) {
  const LaunchShape shape{.grid = {static_cast<unsigned>(blocks)}, .block = {kRooflineThreads}, .stream = stream};
  launch(multiply_kernel, "multiply", shape, rounds, values);
  return int64_t{2} * kChains * rounds * blocks * kRooflineThreads;
}

}  // namespace longship::cuda
