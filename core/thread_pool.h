#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace longship {

/// The threads of a rank: the thread that calls parallel_for, which takes part in the work, and `threads` - 1 workers.
/// One thread at a time calls it. Chunks are claimed as threads become free, so a thread that the system has put aside
/// holds up no other. A waiting thread spins briefly, then yields its core; an idle worker then sleeps.
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }
  /// Which of its pool's threads the calling one is, in [0, threads()); 0 where it is no worker.
  static int this_thread();
  /// How often the calling thread has waited for all threads of a pool in parallel_for(), so far.
  static int64_t waits_of_this_thread();

  /// Calls body(begin, end) for ranges that cover [0, count), each of at least `grain` items where there are as many,
  /// on several threads at once; returns when all are done. Ranges begin at multiples of `grain`. One range runs on
  /// the caller alone. `body` must not throw or call parallel_for.
  template <class Body>
  void parallel_for(int64_t count, int64_t grain, const Body& body) {
    const int64_t grains = (count + grain - 1) / grain;
    const int64_t chunks = std::min(grains, static_cast<int64_t>(threads()) * kChunksPerThread);
    if (workers_.empty() || chunks <= 1) {
      if (count > 0) {
        body(int64_t{0}, count);
      }
      return;
    }
    auto run_chunk = [&](int64_t chunk) {
      const int64_t begin = grains * chunk / chunks * grain;
      const int64_t end = std::min(count, grains * (chunk + 1) / chunks * grain);
      body(begin, end);
    };
    run(
        chunks, [](void* context, int64_t chunk) { (*static_cast<decltype(run_chunk)*>(context))(chunk); }, &run_chunk);
  }

 private:
  using Function = void (*)(void* context, int64_t chunk);

  // More chunks than threads, so that threads of unequal speed end together.
  static constexpr int64_t kChunksPerThread = 4;

  void run(int64_t chunks, Function function, void* context);
  void work();
  bool claim_and_run();
  bool wait_for_job();

  // The job in the works. A chunk is claimed by taking one off the low half of `ticket_`, which numbers the job in its
  // high half; so the fields below are only read by those who hold a chunk of the job, and only written in between.
  Function function_ = nullptr;
  void* context_ = nullptr;
  int64_t chunks_ = 0;
  alignas(64) std::atomic<uint64_t> ticket_ = 0;
  alignas(64) std::atomic<int64_t> unfinished_ = 0;
  alignas(64) std::atomic<int> sleepers_ = 0;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::thread> workers_;
};

}  // namespace longship
