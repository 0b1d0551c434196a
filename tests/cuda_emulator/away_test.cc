#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "cuda/launch.h"
#include "tests/cuda_emulator/device_array.h"
#include "tests/cuda_emulator/emulator.h"

// Apart from tests that fork: it starts a thread that lives as long as the process.

namespace longship::cuda {
namespace {

__global__ void add(const int* x, int* y, int value) {
  y[0] = x[0] + value;
}

TEST(CudaEmulatorAway, WorkMayRunWhileItsHostThreadIsAway) {
  const DeviceArray<int> x(std::vector<int>{0});
  const TestStream reader;
  std::atomic<bool> seen = false;
  std::thread rank([&] {
    const TestStream stream;
    emulator::run_without_host();
    launch(add, "add", {{1}, {1}, 0, stream}, x.data(), x.data(), 1);
    while (!seen) {  // this thread calls nothing of the device until another has seen the work
      std::this_thread::yield();
    }
  });
  while (x.read(reader)[0] == 0) {
    std::this_thread::yield();
  }
  seen = true;
  rank.join();
  EXPECT_EQ(x.read(reader)[0], 1);
}

}  // namespace
}  // namespace longship::cuda
