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

__global__ void __launch_bounds__(kRooflineThreads) copy_kernel(const uint4* from, int64_t count, uint4* to) {
  constexpr int kAtOnce = 4;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kRooflineThreads;
  int64_t i = static_cast<int64_t>(blockIdx.x) * kRooflineThreads + threadIdx.x;
  for (; i + (kAtOnce - 1) * stride < count; i += kAtOnce * stride) {
    uint4 values[kAtOnce];
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      values[k] = load_nc_16(from + i + k * stride);
    }
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      to[i + k * stride] = values[k];
    }
  }
  for (; i < count; i += stride) {
    to[i] = load_nc_16(from + i);
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

void launch_copy(const void* from, int64_t bytes, int blocks, void* to, StreamHandle stream) {
  const LaunchShape shape{.grid = {static_cast<unsigned>(blocks)}, .block = {kRooflineThreads}, .stream = stream};
  launch(copy_kernel, "copy", shape, static_cast<const uint4*>(from), bytes / 16, static_cast<uint4*>(to));
}

int64_t launch_multiply(int blocks, int rounds, float* values, StreamHandle stream) {
  const LaunchShape shape{.grid = {static_cast<unsigned>(blocks)}, .block = {kRooflineThreads}, .stream = stream};
  launch(multiply_kernel, "multiply", shape, rounds, values);
  return int64_t{2} * kChains * rounds * blocks * kRooflineThreads;
}

}  // namespace longship::cuda
