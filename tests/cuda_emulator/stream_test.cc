#include <gtest/gtest.h>

#include <thread>

#include "cuda/launch.h"
#include "cuda/ptx.h"
#include "tests/cuda_emulator/device_array.h"
#include "tests/cuda_emulator/emulator.h"

// Streams, events and graphs: their order, and that a dependency that is missing shows for some seed.

namespace longship::cuda {
namespace {

class TestEvent {
 public:
  TestEvent() { check(api().event_create(&handle_), "event"); }
  ~TestEvent() { api().event_destroy(handle_); }
  TestEvent(const TestEvent&) = delete;
  TestEvent& operator=(const TestEvent&) = delete;
  operator EventHandle() const { return handle_; }

 private:
  EventHandle handle_ = nullptr;
};

/// Pinned ints.
class Pinned {
 public:
  explicit Pinned(std::size_t count) {
    check(api().malloc_host(reinterpret_cast<void**>(&data_), count * sizeof(int)), "pinned memory");
  }
  ~Pinned() { api().free_host(data_); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
  int* data() const { return data_; }
  int& operator[](int i) const { return data_[i]; }

 private:
  int* data_ = nullptr;
};

__global__ void add(const int* x, int* y, int value) {
  y[0] = x[0] + value;
}

void launch_add(const DeviceArray<int>& x, const DeviceArray<int>& y, int value, StreamHandle stream) {
  launch(add, "add", {{1}, {1}, 0, stream}, x.data(), y.data(), value);
}

TEST(CudaEmulatorStream, WorkOfAStreamRunsInOrderWhenItIsWaitedFor) {
  const DeviceArray<int> x(std::vector<int>{1});
  const TestStream stream;
  const Pinned host(1);
  for (int i = 0; i < 5; ++i) {
    launch_add(x, x, 10, stream);
  }
  check(api().memcpy_async(host.data(), x.data(), sizeof(int), CopyKind::kDeviceToHost, stream), "copy");
  EXPECT_EQ(host[0], -1);  // nothing has run
  stream.synchronize();
  EXPECT_EQ(host[0], 51);
  EXPECT_EQ(api().stream_query(stream), kSuccess);
}

/// y = x + 1 by one stream, z = y + 1 by another; whether z is right.
bool second_stream_sees_first(uint64_t seed, bool waits) {
  emulator::reseed(seed);
  const DeviceArray<int> x(std::vector<int>{1});
  const DeviceArray<int> y(std::vector<int>{100});
  const DeviceArray<int> z(1);
  const TestStream first;
  const TestStream second;
  const TestEvent event;
  launch_add(x, y, 1, first);
  check(api().event_record(event, first), "record");
  if (waits) {
    check(api().stream_wait_event(second, event), "wait");
  }
  launch_add(y, z, 1, second);
  return z.read(second)[0] == 3;
}

TEST(CudaEmulatorStream, SomeSeedFindsAMissingDependency) {
  int right = 0;
  for (uint64_t seed = 0; seed < 16; ++seed) {
    EXPECT_TRUE(second_stream_sees_first(seed, true));
    right += second_stream_sees_first(seed, false) ? 1 : 0;
  }
  EXPECT_GT(right, 0);
  EXPECT_LT(right, 16);
}

TEST(CudaEmulatorStream, ASeedAlwaysGivesTheSameOrder) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    EXPECT_EQ(second_stream_sees_first(seed, false), second_stream_sees_first(seed, false));
  }
}

TEST(CudaEmulatorStream, PinnedMemoryIsReadLateAndOtherMemoryAtOnce) {
  const DeviceArray<int> x(2);
  const TestStream stream;
  const Pinned pinned(1);
  int pageable = 1;
  pinned[0] = 1;
  check(api().memcpy_async(x.data(), pinned.data(), sizeof(int), CopyKind::kHostToDevice, stream), "copy");
  check(api().memcpy_async(x.data() + 1, &pageable, sizeof(int), CopyKind::kHostToDevice, stream), "copy");
  pinned[0] = 2;
  pageable = 2;
  EXPECT_EQ(x.read(stream), (std::vector<int>{2, 1}));
}

TEST(CudaEmulatorStream, EventsEndWithTheWorkBeforeThem) {
  const DeviceArray<int> x(std::vector<int>{1});
  const TestStream stream;
  const TestEvent begin;
  const TestEvent end;
  EXPECT_EQ(api().event_query(end), kSuccess);  // never recorded
  check(api().event_record(begin, stream), "record");
  for (int i = 0; i < 20; ++i) {
    launch_add(x, x, 1, stream);
  }
  check(api().event_record(end, stream), "record");
  float milliseconds = -1;
  EXPECT_EQ(api().event_elapsed_ms(&milliseconds, begin, end), kNotReady);
  EXPECT_EQ(api().event_query(end), kNotReady);
  int queries = 0;
  while (api().event_query(end) == kNotReady) {
    ASSERT_LT(++queries, 100);
  }
  check(api().event_elapsed_ms(&milliseconds, begin, end), "elapsed");
  EXPECT_GE(milliseconds, 0.0F);
  EXPECT_EQ(x.read(stream)[0], 21);
}

TEST(CudaEmulatorStream, StreamsOfAnotherThreadAreWaitedFor) {
  const DeviceArray<int> x(std::vector<int>{1});
  const TestEvent event;
  StreamHandle other = nullptr;
  std::thread([&] {
    check(api().stream_create(&other), "stream");
    launch_add(x, x, 5, other);
    check(api().event_record(event, other), "record");
  }).join();
  const TestStream stream;
  check(api().stream_wait_event(stream, event), "wait");
  launch_add(x, x, 1, stream);
  EXPECT_EQ(x.read(stream)[0], 7);
  EXPECT_EQ(api().stream_destroy(other), kSuccess);
}

TEST(CudaEmulatorStream, ThreadsRunTheirStreamsAtTheSameTime) {
  const DeviceArray<int> x(std::vector<int>(4, 0));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&x, i] {
      const TestStream stream;
      for (int n = 0; n < 200; ++n) {
        launch(add, "add", {{1}, {1}, 0, stream}, x.data() + i, x.data() + i, 1);
        if (n % 50 == 0) {
          stream.synchronize();
        }
      }
      stream.synchronize();
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  const TestStream stream;
  EXPECT_EQ(x.read(stream), std::vector<int>(4, 200));
}

class CudaEmulatorGraph : public testing::Test {
 protected:
  /// Ends the capture of `stream_`; null where that fails.
  GraphExecHandle finish() {
    GraphHandle graph = nullptr;
    status_ = api().stream_end_capture(stream_, &graph);
    if (status_ != kSuccess) {
      return nullptr;
    }
    GraphExecHandle exec = nullptr;
    check(api().graph_instantiate(&exec, graph), "instantiate");
    check(api().graph_destroy(graph), "destroy");
    return exec;
  }

  const DeviceArray<int> x_{std::vector<int>{1}};
  const DeviceArray<int> y_{std::vector<int>{0}};
  const TestStream stream_;
  Status status_ = kSuccess;
};

TEST_F(CudaEmulatorGraph, ReplaysWhatWasCaptured) {
  check(api().stream_begin_capture(stream_), "capture");
  int value = 10;
  launch_add(x_, x_, value, stream_);
  value = 20;
  check(api().memcpy_async(y_.data(), x_.data(), sizeof(int), CopyKind::kDeviceToDevice, stream_), "copy");
  GraphExecHandle exec = finish();
  ASSERT_NE(exec, nullptr);
  EXPECT_EQ(x_.read(stream_)[0], 1);  // a capture runs nothing
  for (int i = 0; i < 3; ++i) {
    check(api().graph_launch(exec, stream_), "launch");
  }
  EXPECT_EQ(y_.read(stream_)[0], 31);
  check(api().graph_exec_destroy(exec), "destroy");
}

TEST_F(CudaEmulatorGraph, CapturesStreamsThatForkAndJoin) {
  const TestStream other;
  const TestEvent fork;
  const TestEvent join;
  check(api().stream_begin_capture(stream_), "capture");
  launch_add(x_, x_, 1, stream_);
  check(api().event_record(fork, stream_), "record");
  check(api().stream_wait_event(other, fork), "wait");
  launch_add(x_, y_, 5, other);
  check(api().event_record(join, other), "record");
  check(api().stream_wait_event(stream_, join), "wait");
  launch_add(y_, x_, 100, stream_);
  GraphExecHandle exec = finish();
  ASSERT_NE(exec, nullptr);
  for (int i = 0; i < 8; ++i) {
    check(api().graph_launch(exec, stream_), "launch");
  }
  EXPECT_EQ(x_.read(stream_)[0], 1 + 8 * 106);
  check(api().graph_exec_destroy(exec), "destroy");
}

TEST_F(CudaEmulatorGraph, RefusesWhatMayNotBeCaptured) {
  const TestStream other;
  const TestEvent fork;
  check(api().stream_begin_capture(stream_), "capture");
  void* memory = nullptr;
  EXPECT_EQ(api().malloc(&memory, 4), 900);
  EXPECT_EQ(api().stream_synchronize(stream_), 900);
  EXPECT_EQ(api().stream_query(stream_), 900);
  int host = 0;
  EXPECT_DEATH(api().memcpy_async(x_.data(), &host, sizeof(int), CopyKind::kHostToDevice, stream_), "not pinned");
  check(api().event_record(fork, stream_), "record");
  check(api().stream_wait_event(other, fork), "wait");
  launch_add(x_, y_, 5, other);
  EXPECT_EQ(finish(), nullptr);
  EXPECT_EQ(status_, 904);  // the other stream was not joined
}

TEST_F(CudaEmulatorGraph, FindsMemoryFreedBeforeAReplay) {
  void* memory = nullptr;
  check(api().malloc(&memory, sizeof(int)), "malloc");
  check(api().stream_begin_capture(stream_), "capture");
  launch(add, "add", {{1}, {1}, 0, stream_}, x_.data(), static_cast<int*>(memory), 1);
  GraphExecHandle exec = finish();
  ASSERT_NE(exec, nullptr);
  check(api().graph_launch(exec, stream_), "launch");
  stream_.synchronize();
  check(api().free(memory), "free");
  const auto replay = [&] {
    check(api().graph_launch(exec, stream_), "launch");
    stream_.synchronize();
  };
  EXPECT_DEATH(replay(), "kernel add.*touches device memory.*which was freed");
  check(api().graph_exec_destroy(exec), "destroy");
}

/// Every other thread forgets to wait for what comes before.
template <bool kAll>
__global__ void overlapping(int* x) {
  let_next_kernel_begin();
  if (kAll || threadIdx.x % 2 == 0) {
    wait_for_kernels_before();
  }
  x[threadIdx.x] = 1;
}

TEST(CudaEmulatorStream, FindsThreadsThatDoNotWaitForTheKernelsBefore) {
  const auto run = [](void (*kernel)(int*)) {
    const DeviceArray<int> array(32);
    const TestStream stream;
    launch(kernel, "tested", {.grid = {1}, .block = {32}, .stream = stream, .overlaps = true}, array.data());
    return array.read(stream);
  };
  EXPECT_EQ(run(overlapping<true>), std::vector<int>(32, 1));
  EXPECT_DEATH(run(overlapping<false>), "kernel tested.*thread \\(1, 0, 0\\).*did not wait");
}

}  // namespace
}  // namespace longship::cuda
