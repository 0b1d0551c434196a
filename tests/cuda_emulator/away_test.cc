#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
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

// Such as a call of NCCL, which other ranks hold up, between two looks at them.
TEST(CudaEmulatorAway, AHostThreadThatComesBackGoesOnWithWorkThatIsNotDone) {
  using std::chrono::steady_clock;
  steady_clock::duration waited{};
  std::thread([&] {
    const TestStream stream;
    emulator::run_without_host();
    std::atomic<int> looks = 0;
    check(emulator::enqueue_until_done("held up", stream,
                                       [&] {
                                         if (looks++ == 0) {
                                           std::this_thread::sleep_for(std::chrono::milliseconds(300));
                                         }
                                         return looks > 1;
                                       }),
          "enqueue");
    while (looks == 0) {  // until it runs without this thread
      std::this_thread::yield();
    }
    const auto back = steady_clock::now();
    check(api().stream_synchronize(stream), "synchronize");
    waited = steady_clock::now() - back;
  }).join();
  EXPECT_LT(waited, std::chrono::seconds(10));
}

}  // namespace
}  // namespace longship::cuda
