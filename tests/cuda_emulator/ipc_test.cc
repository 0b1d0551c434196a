#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "cuda/launch.h"
#include "tests/cuda_emulator/device_array.h"

// Memory that processes share. Apart from other tests: who shares some gets a thread that lives as long as the process.

namespace longship::cuda {
namespace {

constexpr int kCount = 10;

__global__ void write_ones(float* x) {
  x[threadIdx.x] = 1.0F;
}

/// What another process does with a handle; its exit code.
template <class Work>
int in_another_process(const IpcHandle& handle, Work work) {
  const pid_t child = ::fork();
  if (child == 0) {
    void* memory = nullptr;
    ::_exit(api().ipc_open_handle(&memory, &handle) == kSuccess ? work(static_cast<float*>(memory)) : 100);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 200;
}

TEST(CudaEmulatorIpc, SharesMemoryWithOtherProcesses) {
  const DeviceArray<float> array(std::vector<float>(kCount, 2.0F));
  IpcHandle handle;
  ASSERT_EQ(api().ipc_get_handle(&handle, array.data()), kSuccess);
  const int seen = in_another_process(handle, [](float* memory) {
    const TestStream stream;
    std::vector<float> x(kCount);
    check(api().memcpy_async(x.data(), memory, kCount * sizeof(float), CopyKind::kDeviceToHost, stream), "copy");
    launch(write_ones, "write", {{1}, {kCount}, 0, stream}, memory);
    stream.synchronize();
    return static_cast<int>(x[kCount - 1]);
  });
  EXPECT_EQ(seen, 2);
  const TestStream stream;
  EXPECT_EQ(array.read(stream), std::vector<float>(kCount, 1.0F));
}

TEST(CudaEmulatorIpc, HandlesOpenInOtherProcessesAlone) {
  const DeviceArray<float> array(kCount);
  IpcHandle handle;
  ASSERT_EQ(api().ipc_get_handle(&handle, array.data()), kSuccess);
  void* memory = nullptr;
  EXPECT_NE(api().ipc_open_handle(&memory, &handle), kSuccess);
  EXPECT_NE(api().ipc_get_handle(&handle, array.data() + 1), kSuccess);
  IpcHandle wrong = handle;
  std::memset(wrong.bytes.data() + 16, 1, 8);
  EXPECT_EQ(in_another_process(wrong, [](float*) { return 0; }), 100);
}

// Ranks may be threads, which open nothing.
TEST(CudaEmulatorIpc, WorkOfWhoSharesMemoryRunsWhileItsHostThreadIsAway) {
  const DeviceArray<float> array(std::vector<float>(kCount, 2.0F));
  const TestStream reader;
  std::atomic<bool> seen = false;
  std::thread rank([&] {
    const TestStream stream;
    IpcHandle handle;
    check(api().ipc_get_handle(&handle, array.data()), "share");
    launch(write_ones, "write", {{1}, {kCount}, 0, stream}, array.data());
    while (!seen) {  // this thread calls nothing of the device until another has seen the work
      std::this_thread::yield();
    }
  });
  while (array.read(reader)[0] != 1.0F) {
    std::this_thread::yield();
  }
  seen = true;
  rank.join();
}

}  // namespace
}  // namespace longship::cuda
