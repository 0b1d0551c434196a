#include <gtest/gtest.h>

#include <numeric>

#include "cuda/launch.h"
#include "cuda/ptx.h"
#include "tests/cuda_emulator/device_array.h"
#include "tests/cuda_emulator/emulator.h"

// Barriers, shuffles and votes: what they compute, and that wrong uses end the process with the reason.

namespace longship::cuda {
namespace {

std::vector<int> run(void (*kernel)(int*), unsigned threads = 32) {
  const DeviceArray<int> array(std::vector<int>(128, 0));
  const TestStream stream;
  launch(kernel, "tested", {{1}, {threads}, 0, stream}, array.data());
  return array.read(stream);
}

__global__ void shuffles(int* x) {
  const int lane = static_cast<int>(threadIdx.x);
  const int up = __shfl_up_sync(kFullMask, lane, 3);
  const int down = __shfl_down_sync(kFullMask, lane, 5);
  const int flipped = __shfl_xor_sync(kFullMask, lane, 16);
  const float first = __shfl_sync(kFullMask, static_cast<float>(lane) + 0.5F, 7);
  x[lane] = up;
  x[32 + lane] = down;
  x[64 + lane] = flipped;
  x[96 + lane] = static_cast<int>(2 * first);
}

TEST(CudaEmulatorWarp, Shuffles) {
  const std::vector<int> x = run(shuffles);
  for (int lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(x[lane], lane < 3 ? lane : lane - 3);
    EXPECT_EQ(x[32 + lane], lane > 26 ? lane : lane + 5);
    EXPECT_EQ(x[64 + lane], lane ^ 16);
    EXPECT_EQ(x[96 + lane], 15);
  }
}

__global__ void votes(int* x) {
  const int lane = static_cast<int>(threadIdx.x);
  if (lane < 8) {
    x[lane] = static_cast<int>(__ballot_sync(0xFFU, lane % 2));
    x[8 + lane] = __any_sync(0xFFU, lane == 3) + 10 * __any_sync(0xFFU, 0);
    x[16 + lane] = __all_sync(0xFFU, 1) + 10 * __all_sync(0xFFU, lane != 3);
  }
}

TEST(CudaEmulatorWarp, VotesOfSomeLanes) {
  const std::vector<int> x = run(votes);
  for (int lane = 0; lane < 8; ++lane) {
    EXPECT_EQ(x[lane], 0xAA);
    EXPECT_EQ(x[8 + lane], 1);
    EXPECT_EQ(x[16 + lane], 1);
  }
}

/// A lane may take part in a group of two, then of two others, before its first partner goes on.
__global__ void chain_of_groups(int* x) {
  const unsigned lane = threadIdx.x;
  int sum = static_cast<int>(lane);
  for (unsigned other = 1; other < 8; ++other) {
    if (lane == 0 || lane == other) {
      sum += __shfl_xor_sync(1U | 1U << other, sum, static_cast<int>(other));
    }
  }
  x[lane] = sum;
}

TEST(CudaEmulatorWarp, GroupsOfDifferentMasks) {
  const std::vector<int> x = run(chain_of_groups, 8);
  EXPECT_EQ(x[0], 28);
  EXPECT_EQ(x[7], 28);
  EXPECT_EQ(x[1], 1);
  EXPECT_EQ(x[2], 3);
}

template <unsigned kMask>
__global__ void shuffle_under_a_branch(int* x) {
  if (threadIdx.x < 16) {
    x[threadIdx.x] = __shfl_xor_sync(kMask, 1, 1);
  }
}

TEST(CudaEmulatorWarp, FindsWrongMasks) {
  run(shuffle_under_a_branch<0xFFFF>);
  EXPECT_DEATH(run(shuffle_under_a_branch<kFullMask>), "a shuffle at warp_test.cc:[0-9]+.* mask 0xFFFFFFFF");
  EXPECT_DEATH(run(shuffle_under_a_branch<0xFF>), "lane 8 calls a shuffle .*mask 0x000000FF, which does not name it");
}

__global__ void shuffle_from_outside(int* x) {
  if (threadIdx.x < 16) {
    x[threadIdx.x] = __shfl_sync(0xFFFFU, 1, 20);
  }
}

TEST(CudaEmulatorWarp, FindsValuesOfLanesThatTheMaskDoesNotName) {
  EXPECT_DEATH(run(shuffle_from_outside), "takes the value of lane 20, which the mask does not name");
}

__global__ void two_masks(int* x) {
  x[threadIdx.x] = __shfl_sync(threadIdx.x % 2 == 0 ? kFullMask : 0xFFFFFFFEU, 1, 3);
}

TEST(CudaEmulatorWarp, FindsLanesThatWaitForEachOther) {
  EXPECT_DEATH(run(two_masks), "no thread of the block can go on.*thread 0 waits in a shuffle.*for lane 1.*0xFFFFFFFE");
}

__global__ void two_calls(int* x) {
  if (threadIdx.x % 2 == 0) {
    x[threadIdx.x] = __shfl_sync(kFullMask, 1, 0);
  } else {
    __syncwarp();
  }
}

TEST(CudaEmulatorWarp, FindsLanesThatMeetInDifferentCalls) {
  EXPECT_DEATH(run(two_calls), "meet in different calls");
}

__global__ void short_warp(int* x) {
  x[threadIdx.x] = __shfl_sync(kFullMask, 1, 0);
}

TEST(CudaEmulatorWarp, FindsLanesThatTheBlockDoesNotHave) {
  EXPECT_DEATH(run(short_warp, 40), "waits for lane 8, which the block does not have");
}

/// kWrong: 0 right, 1 another barrier in each branch, 2 a barrier in one branch, 3 a thread ends first.
template <int kWrong>
__global__ void barriers(int* x) {
  if (kWrong == 3 && threadIdx.x == 40) {
    return;
  }
  if (kWrong == 0 || threadIdx.x < 32) {
    __syncthreads();
  } else if (kWrong == 1) {
    __syncthreads();
  }
  x[threadIdx.x] = 1;
}

TEST(CudaEmulatorWarp, FindsDivergentBarriers) {
  EXPECT_EQ(run(barriers<0>, 64)[63], 1);
  EXPECT_DEATH(run(barriers<1>, 64), "divergent barriers: the thread waits at warp_test.cc");
  EXPECT_DEATH(run(barriers<2>, 64), "thread \\(32, 0, 0\\): the thread ends while 32 threads");
  EXPECT_DEATH(run(barriers<3>, 64), "ends while");
}

/// Block 0 waits for what block 1 does.
__global__ void wait_for_another_block(int* x) {
  if (blockIdx.x == 0) {
    while (load_acquire_system(reinterpret_cast<const uint32_t*>(x)) == 0) {
      spin_pause();
    }
    x[1] = 5;
  } else {
    store_release_system(reinterpret_cast<uint32_t*>(x), 1);
  }
}

TEST(CudaEmulatorWarp, BlocksMayWaitForEachOther) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    emulator::reseed(seed);
    const DeviceArray<int> array(std::vector<int>(2, 0));
    const TestStream stream;
    launch(wait_for_another_block, "tested", {{2}, {1}, 0, stream}, array.data());
    EXPECT_EQ(array.read(stream)[1], 5);
  }
}

/// The last block to come adds up what all wrote.
__global__ void sum_of_blocks(int* x) {
  x[1 + blockIdx.x] = static_cast<int>(blockIdx.x);
  __threadfence();
  if (add_acquire_release(reinterpret_cast<uint32_t*>(x), 1) == gridDim.x - 1) {
    int sum = 0;
    for (unsigned block = 0; block < gridDim.x; ++block) {
      sum += x[1 + block];
    }
    x[100] = sum;
  }
}

TEST(CudaEmulatorWarp, TheLastBlockSeesWhatOthersWrote) {
  const DeviceArray<int> array(std::vector<int>(128, 0));
  const TestStream stream;
  launch(sum_of_blocks, "tested", {{20}, {1}, 0, stream}, array.data());
  EXPECT_EQ(array.read(stream)[100], 190);
}

}  // namespace
}  // namespace longship::cuda
