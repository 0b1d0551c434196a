#include <gtest/gtest.h>

#include <numeric>

#include "cuda/launch.h"
#include "tests/cuda_emulator/device_array.h"

namespace longship::cuda {
namespace {

__global__ void add_index(const float* x, float* y, int n) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < static_cast<unsigned>(n)) {
    y[i] = x[i] + static_cast<float>(i);
  }
}

TEST(CudaEmulator, RunsEveryThreadOfEveryBlock) {
  constexpr int kCount = 1000;
  std::vector<float> x(kCount, 0.5F);
  const DeviceArray<float> from(x);
  const DeviceArray<float> to(x.size());
  const TestStream stream;
  launch(add_index, "add_index", {{8}, {128}, 0, stream}, from.data(), to.data(), kCount);
  const std::vector<float> y = to.read(stream);
  for (int i = 0; i < kCount; ++i) {
    EXPECT_EQ(y[i], 0.5F + static_cast<float>(i));
  }
}

__global__ void reverse(int* x) {
  SharedMemory memory;
  Shared<int> tile = memory.take<int>(static_cast<int>(blockDim.x));
  tile[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = tile[blockDim.x - 1 - threadIdx.x];
}

TEST(CudaEmulator, ThreadsMeetAtBarriers) {
  std::vector<int> x(200);
  std::iota(x.begin(), x.end(), 0);
  const DeviceArray<int> array(x);
  const TestStream stream;
  launch(reverse, "reverse", {{1}, {200}, shared_bytes<int>(200), stream}, array.data());
  std::vector<int> expected(x.rbegin(), x.rend());
  EXPECT_EQ(array.read(stream), expected);
}

__global__ void warp_sums(const float* x, float* sums) {
  float sum = x[blockIdx.x * blockDim.x + threadIdx.x];
  for (int step = 16; step > 0; step /= 2) {
    sum += __shfl_xor_sync(kFullMask, sum, step);
  }
  if (threadIdx.x % 32 == 0) {
    sums[blockIdx.x * blockDim.x / 32 + threadIdx.x / 32] = sum;
  }
}

TEST(CudaEmulator, LanesShuffle) {
  std::vector<float> x(4 * 96);
  std::iota(x.begin(), x.end(), 0.0F);
  const DeviceArray<float> from(x);
  const DeviceArray<float> to(12);
  const TestStream stream;
  launch(warp_sums, "warp_sums", {{4}, {96}, 0, stream}, from.data(), to.data());
  const std::vector<float> sums = to.read(stream);
  for (int warp = 0; warp < 12; ++warp) {
    EXPECT_EQ(sums[warp], std::accumulate(x.begin() + warp * 32, x.begin() + warp * 32 + 32, 0.0F));
  }
}

}  // namespace
}  // namespace longship::cuda
