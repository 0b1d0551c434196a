#include "engine/backend/cuda/cuda_roofline.h"

#include <algorithm>

#include "cuda/memory.h"
#include "engine/backend/cuda/kernels/roofline.h"

namespace longship::cuda {

namespace {

constexpr int kRepeats = 5;
constexpr int kBlocksPerMultiprocessor = 8;
constexpr int kRounds = 4096;
constexpr std::size_t kSmallestBytes = std::size_t{1} << 20;

struct Timer {
  Timer() {
    check(api().event_create(&begin), "create an event");
    check(api().event_create(&end), "create an event");
  }
  ~Timer() {
    api().event_destroy(begin);
    api().event_destroy(end);
  }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Seconds of the fastest of a few calls.
  template <class Work>
  double fastest(StreamHandle stream, const Work& work) const {
    double best = 0;
    for (int repeat = 0; repeat < kRepeats; ++repeat) {
      check(api().event_record(begin, stream), "record an event");
      work();
      check(api().event_record(end, stream), "record an event");
      check(api().event_synchronize(end), "wait for a measurement");
      float milliseconds = 0;
      check(api().event_elapsed_ms(&milliseconds, begin, end), "measure time");
      const double seconds = std::max(static_cast<double>(milliseconds) * 1e-3, 1e-9);
      best = repeat == 0 ? seconds : std::min(best, seconds);
    }
    return best;
  }

  EventHandle begin = nullptr;
  EventHandle end = nullptr;
};

}  // namespace

Roofline measure_roofline(const DeviceProperties& device, StreamHandle stream) {
  const int blocks = kBlocksPerMultiprocessor * device.multiprocessors;
  const std::size_t bytes = std::max(kSmallestBytes, 4 * device.l2_bytes) / 16 * 16;
  const std::shared_ptr<void> memory = allocate_device(bytes);
  const std::shared_ptr<void> results =
      allocate_device(static_cast<std::size_t>(blocks) * kRooflineThreads * sizeof(float));
  check(api().memset_async(memory.get(), 1, bytes, stream), "fill memory");
  check(
      api().memset_async(results.get(), 0, static_cast<std::size_t>(blocks) * kRooflineThreads * sizeof(float), stream),
      "fill memory");
  const Timer timer;
  const double read_s = timer.fastest(stream, [&] {
    launch_read(memory.get(), static_cast<int64_t>(bytes), blocks, static_cast<unsigned*>(results.get()), stream);
  });
  int64_t ops = 0;
  const double multiply_s = timer.fastest(
      stream, [&] { ops = launch_multiply(blocks, kRounds, static_cast<float*>(results.get()), stream); });
  return {static_cast<double>(bytes) / read_s, static_cast<double>(ops) / multiply_s};
}

}  // namespace longship::cuda
