#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "core/error.h"
#include "cuda/launch.h"
#include "tests/cuda_emulator/device_array.h"

// Device memory: right uses pass, wrong ones end the process with the reason.

namespace longship::cuda {
namespace {

constexpr int kCount = 10;

template <int kShift>
__global__ void shift(const float* x, float* y) {
  y[threadIdx.x] = x[static_cast<int>(threadIdx.x) + kShift];
}

template <int kShift>
std::vector<float> read_shifted() {
  std::vector<float> x(kCount);
  std::iota(x.begin(), x.end(), 0.0F);
  const DeviceArray<float> from(x);
  const DeviceArray<float> to(x.size());
  const TestStream stream;
  launch(shift<kShift>, "shift", {{1}, {kCount}, 0, stream}, from.data(), to.data());
  return to.read(stream);
}

TEST(CudaEmulatorMemory, FindsReadsOutOfBounds) {
  EXPECT_EQ(read_shifted<0>()[kCount - 1], kCount - 1);
  EXPECT_DEATH(read_shifted<3>(),
               "thread \\(9, 0, 0\\): touches .*8 bytes behind the end of an allocation of 40 bytes");
  // One element behind the end lies in the same 16 bytes: the read gives 0xFFFFFFFF, which the copy reports.
  EXPECT_DEATH(read_shifted<1>(), "word at byte 36 was never written.*byte 36 of an allocation of 40 bytes");
  EXPECT_DEATH(read_shifted<-1>(), "word at byte 0 was never written");
  EXPECT_DEATH(read_shifted<100000>(), "shift.*touches");
}

template <int kShift>
__global__ void write_shifted(float* y) {
  y[static_cast<int>(threadIdx.x) + kShift] = 1.0F;
}

template <int kShift>
void write_array() {
  const TestStream stream;
  const DeviceArray<float> to(kCount);
  launch(write_shifted<kShift>, "write", {{1}, {kCount}, 0, stream}, to.data());
  stream.synchronize();
}

TEST(CudaEmulatorMemory, FindsWritesOutOfBounds) {
  write_array<0>();
  EXPECT_DEATH(write_array<3>(), "kernel write.*8 bytes behind the end");
  EXPECT_DEATH(write_array<1>(), "memory was written behind an allocation of 40 bytes");
  EXPECT_DEATH(write_array<-1>(), "memory was written before an allocation of 40 bytes");
}

TEST(CudaEmulatorMemory, FindsCopiesOutOfBounds) {
  const DeviceArray<float> array(kCount);
  const TestStream stream;
  std::vector<float> host(kCount + 1, 1.0F);
  const auto write = [&](int first) {
    return api().memcpy_async(array.data() + first, host.data(), kCount * sizeof(float), CopyKind::kHostToDevice,
                              stream);
  };
  EXPECT_EQ(write(0), kSuccess);
  EXPECT_DEATH(write(1), "copies to 40 bytes at .*byte 4 of an allocation of 40 bytes");
  EXPECT_DEATH(api().memset_async(array.data(), 0, 41, stream), "fills 41 bytes");
  EXPECT_DEATH(api().memcpy_async(host.data(), host.data(), 4, CopyKind::kDeviceToHost, stream), "not device memory");
  EXPECT_DEATH(api().memcpy_async(array.data(), array.data(), 4, CopyKind::kHostToDevice, stream), "from the host");
}

TEST(CudaEmulatorMemory, FindsUseAfterFree) {
  void* memory = nullptr;
  ASSERT_EQ(api().malloc(&memory, kCount * sizeof(float)), kSuccess);
  const TestStream stream;
  const auto use = [&] {
    launch(write_shifted<0>, "write", {{1}, {kCount}, 0, stream}, static_cast<float*>(memory));
    stream.synchronize();
  };
  use();
  ASSERT_EQ(api().free(memory), kSuccess);
  EXPECT_DEATH(use(), "kernel write is given .*byte 0 of an allocation of 40 bytes, which was freed");
  EXPECT_DEATH(api().free(memory), "frees .*which was freed");
}

struct Holder {
  float* y;
};
__global__ void write_held(Holder holder) {
  holder.y[threadIdx.x] = 1.0F;
}

TEST(CudaEmulatorMemory, FindsUseAfterFreeOfPointersInStructures) {
  void* memory = nullptr;
  ASSERT_EQ(api().malloc(&memory, kCount * sizeof(float)), kSuccess);
  const TestStream stream;
  const auto use = [&] {
    launch(write_held, "write_held", {{1}, {kCount}, 0, stream}, Holder{static_cast<float*>(memory)});
    stream.synchronize();
  };
  use();
  ASSERT_EQ(api().free(memory), kSuccess);
  EXPECT_DEATH(use(), "kernel write_held.*touches device memory.*which was freed");
}

TEST(CudaEmulatorMemory, FindsReadsOfWhatWasNeverWritten) {
  const DeviceArray<float> array(kCount);
  const TestStream stream;
  ASSERT_EQ(api().memset_async(array.data(), 0, (kCount - 1) * sizeof(float), stream), kSuccess);
  EXPECT_DEATH(array.read(stream), "40 bytes to the host, of which the word at byte 36 was never written");
  ASSERT_EQ(api().memset_async(array.data(), 0, kCount * sizeof(float), stream), kSuccess);
  EXPECT_EQ(array.read(stream)[kCount - 1], 0.0F);
}

TEST(CudaEmulatorMemory, FindsTheHostInDeviceMemory) {
  const DeviceArray<float> array(std::vector<float>(kCount, 1.0F));
  EXPECT_DEATH(array.data()[0] += 1.0F, "the host touches device memory at .*byte 0 of an allocation of 40 bytes");
  const TestStream stream;
  EXPECT_EQ(array.read(stream)[0], 1.0F);
  EXPECT_DEATH(array.data()[0] += 1.0F, "the host touches device memory");
}

TEST(CudaEmulatorMemory, FindsHostMemoryGivenToKernels) {
  std::vector<float> host(kCount);
  const TestStream stream;
  EXPECT_DEATH(launch(write_shifted<0>, "write", {{1}, {kCount}, 0, stream}, host.data()),
               "kernel write is given .*which is not device memory");
  void* pinned = nullptr;
  ASSERT_EQ(api().malloc_host(&pinned, kCount * sizeof(float)), kSuccess);
  launch(write_shifted<0>, "write", {{1}, {kCount}, 0, stream}, static_cast<float*>(pinned));
  stream.synchronize();
  EXPECT_EQ(static_cast<float*>(pinned)[3], 1.0F);
  ASSERT_EQ(api().free_host(pinned), kSuccess);
}

TEST(CudaEmulatorMemory, CountsAndLimitsMemory) {
  std::size_t before = 0;
  std::size_t total = 0;
  ASSERT_EQ(api().memory_info(&before, &total), kSuccess);
  {
    const DeviceArray<float> array(1024);
    std::size_t after = 0;
    ASSERT_EQ(api().memory_info(&after, &total), kSuccess);
    EXPECT_EQ(before - after, 4096U);
  }
  void* memory = nullptr;
  EXPECT_EQ(api().malloc(&memory, before + 1), 2);
  EXPECT_EQ(memory, nullptr);
  EXPECT_STREQ(api().error_string(2), "out of memory");
  EXPECT_THROW(check(2, "malloc"), Error);
}

}  // namespace
}  // namespace longship::cuda
