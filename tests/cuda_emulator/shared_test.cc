#include <gtest/gtest.h>

#include <numeric>

#include "cuda/launch.h"
#include "cuda/ptx.h"
#include "tests/cuda_emulator/device_array.h"

// Shared memory: kernels that use it rightly pass, their wrong twins end the process with the reason.

namespace longship::cuda {
namespace {

constexpr int kThreads = 64;

/// Runs a kernel of one block on an array of ints, 0 to kThreads - 1.
std::vector<int> run(void (*kernel)(int*), std::size_t shared, unsigned threads = kThreads) {
  std::vector<int> x(kThreads);
  std::iota(x.begin(), x.end(), 0);
  const DeviceArray<int> array(x);
  const TestStream stream;
  launch(kernel, "tested", {{1}, {threads}, shared, stream}, array.data());
  return array.read(stream);
}

template <bool kBarrier>
__global__ void reverse(int* x) {
  SharedMemory memory;
  Shared<int> tile = memory.take<int>(kThreads);
  tile[threadIdx.x] = x[threadIdx.x];
  if constexpr (kBarrier) {
    __syncthreads();
  }
  x[threadIdx.x] = tile[kThreads - 1 - threadIdx.x];
}

TEST(CudaEmulatorShared, FindsAMissingBarrier) {
  EXPECT_EQ(run(reverse<true>, shared_bytes<int>(kThreads))[0], kThreads - 1);
  EXPECT_DEATH(run(reverse<false>, shared_bytes<int>(kThreads)), "kernel tested, block \\(0, 0, 0\\).*which no thread");
}

/// Each thread first fills its element, so that only the order tells that a barrier is missing.
template <bool kBarrier>
__global__ void rotate_twice(int* x) {
  SharedMemory memory;
  Shared<int> tile = memory.take<int>(kThreads);
  tile[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  const int next = tile[(threadIdx.x + 1) % kThreads];
  if constexpr (kBarrier) {
    __syncthreads();
  }
  tile[threadIdx.x] = next;
  __syncthreads();
  x[threadIdx.x] = tile[(threadIdx.x + 1) % kThreads];
}

TEST(CudaEmulatorShared, FindsARaceOfAWriteWithAnEarlierRead) {
  EXPECT_EQ(run(rotate_twice<true>, shared_bytes<int>(kThreads))[0], 2);
  EXPECT_DEATH(run(rotate_twice<false>, shared_bytes<int>(kThreads)), "race: writes byte .*which thread [0-9]+ read");
}

template <bool kOneWriter>
__global__ void write_flag(int* x) {
  SharedMemory memory;
  Shared<int> flag = memory.take<int>(1);
  if (!kOneWriter || threadIdx.x == 0) {
    flag[0] = 7;
  }
  __syncthreads();
  x[threadIdx.x] = flag[0];
}

TEST(CudaEmulatorShared, FindsARaceOfTwoWrites) {
  EXPECT_EQ(run(write_flag<true>, shared_bytes<int>(1))[kThreads - 1], 7);
  EXPECT_DEATH(run(write_flag<false>, shared_bytes<int>(1)), "race: writes .*which thread 0 has written");
}

/// Lanes hand values to their neighbours, which is ordered by __syncwarp alone.
template <bool kSync>
__global__ void rotate_in_warp(int* x) {
  SharedMemory memory;
  Shared<int> tile = memory.take<int>(kThreads);
  const int warp = static_cast<int>(threadIdx.x) / 32 * 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  int value = x[threadIdx.x];
  for (int i = 0; i < 3; ++i) {
    tile[threadIdx.x] = value;
    if constexpr (kSync) {
      __syncwarp();
    } else {
      value += 0 * __shfl_sync(kFullMask, value, 0);  // a shuffle orders no memory
    }
    value = tile[warp + (lane + 1) % 32];
    __syncwarp();
  }
  x[threadIdx.x] = value;
}

TEST(CudaEmulatorShared, WarpSynchronousCodeNeedsSyncwarp) {
  EXPECT_EQ(run(rotate_in_warp<true>, shared_bytes<int>(kThreads))[32], 35);
  EXPECT_DEATH(run(rotate_in_warp<false>, shared_bytes<int>(kThreads)), "race: reads");
}

/// Halves of a warp synchronise apart; kMask decides whether the right lanes do.
template <bool kRight>
__global__ void swap_in_halves(int* x) {
  SharedMemory memory;
  Shared<int> tile = memory.take<int>(kThreads);
  const unsigned lane = threadIdx.x % 32;
  const unsigned half = lane < 16 ? 0xFFFFU : 0xFFFF0000U;
  const unsigned pair = 3U << (lane & ~1U);
  tile[threadIdx.x] = x[threadIdx.x];
  __syncwarp(kRight ? half : pair);
  x[threadIdx.x] = tile[threadIdx.x ^ 8];
}

TEST(CudaEmulatorShared, OrderIsThatOfTheLanesOfTheMask) {
  EXPECT_EQ(run(swap_in_halves<true>, shared_bytes<int>(kThreads))[0], 8);
  EXPECT_DEATH(run(swap_in_halves<false>, shared_bytes<int>(kThreads)), "CUDA emulator: .*reads byte");
}

template <int kExtra>
__global__ void overrun(int* x) {
  SharedMemory memory;
  Shared<int> tile = memory.take<int>(kThreads);
  tile[threadIdx.x + kExtra] = x[threadIdx.x];
}

TEST(CudaEmulatorShared, FindsAccessesOutOfBounds) {
  run(overrun<0>, shared_bytes<int>(kThreads));
  EXPECT_DEATH(run(overrun<1>, 2 * shared_bytes<int>(kThreads)),
               "thread \\(63, 0, 0\\): writes 4 bytes at byte 256 of a shared array of 256 bytes");
  EXPECT_DEATH(run(overrun<-1>, shared_bytes<int>(kThreads)), "writes 4 bytes at byte -4 ");
}

TEST(CudaEmulatorShared, FindsALaunchWithTooLittle) {
  EXPECT_DEATH(run(overrun<0>, shared_bytes<int>(kThreads - 4)), "takes 256 bytes of shared memory.*launch gives 240");
}

template <bool kRight>
__global__ void read_all(int* x) {
  SharedMemory memory;
  Shared<uint16_t> tile = memory.take<uint16_t>(kThreads);
  if (kRight || threadIdx.x != 5) {
    tile[threadIdx.x] = static_cast<uint16_t>(x[threadIdx.x]);
  }
  __syncthreads();
  x[threadIdx.x] = tile[(threadIdx.x + 1) % kThreads];
}

TEST(CudaEmulatorShared, FindsReadsOfWhatNoThreadWrote) {
  EXPECT_EQ(run(read_all<true>, shared_bytes<uint16_t>(kThreads))[3], 4);
  EXPECT_DEATH(run(read_all<false>, shared_bytes<uint16_t>(kThreads)), "reads byte 10 .*which no thread has written");
}

/// What a block leaves in shared memory is not there for the next.
__global__ void read_before_write(int* x) {
  SharedMemory memory;
  Shared<int> tile = memory.take<int>(1);
  if (x[0] != 0) {
    x[0] = tile[0];
  }
  tile[0] = 1;
}

TEST(CudaEmulatorShared, EveryBlockBeginsUnwritten) {
  const auto run_twice = [](int second) {
    const DeviceArray<int> array(std::vector<int>{0, second});
    const TestStream stream;
    launch(read_before_write, "first", {{1}, {1}, 16, stream}, array.data());
    launch(read_before_write, "second", {{1}, {1}, 16, stream}, array.data() + 1);
    stream.synchronize();
  };
  run_twice(0);
  EXPECT_DEATH(run_twice(1), "kernel second.*which no thread has written");
}

template <bool kAtomic>
__global__ void count(int* x) {
  SharedMemory memory;
  Shared<int> total = memory.take<int>(1);
  if (threadIdx.x == 0) {
    total[0] = 0;
  }
  __syncthreads();
  if constexpr (kAtomic) {
    atomicAdd(&total[0], 1);
  } else {
    total[0] += 1;
  }
  __syncthreads();
  x[threadIdx.x] = total[0];
}

TEST(CudaEmulatorShared, AtomicsDoNotRace) {
  EXPECT_EQ(run(count<true>, shared_bytes<int>(1))[0], kThreads);
  EXPECT_DEATH(run(count<false>, shared_bytes<int>(1)), "race: reads");
}

template <int kWait, bool kBarrier>
__global__ void copy_by_async(int* x) {
  SharedMemory memory;
  Shared<int> tile = memory.take<int>(kThreads);
  if (threadIdx.x < kThreads / 4) {
    cp_async_16(tile + threadIdx.x * 4, x + threadIdx.x * 4, threadIdx.x != 1);
  }
  cp_async_commit();
  cp_async_wait<kWait>();
  if constexpr (kBarrier) {
    __syncthreads();
  }
  const int value = tile[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = value;
}

TEST(CudaEmulatorShared, AsynchronousCopiesEndWhenTheyAreWaitedFor) {
  const std::vector<int> x = run(copy_by_async<0, true>, shared_bytes<int>(kThreads));
  EXPECT_EQ(x[3], 3);
  EXPECT_EQ(x[4], 0);  // not valid: zeros
  EXPECT_EQ(x[kThreads - 1], kThreads - 1);
  EXPECT_DEATH(run(copy_by_async<1, true>, shared_bytes<int>(kThreads)), "which an asynchronous copy of thread");
  EXPECT_DEATH(run(copy_by_async<0, false>, shared_bytes<int>(kThreads)), "race: reads byte 4 .*which thread 0");
}

}  // namespace
}  // namespace longship::cuda
