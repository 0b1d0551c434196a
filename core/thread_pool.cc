#include "core/thread_pool.h"

#include <sched.h>

namespace longship {

namespace {

// About 20 us of spinning and 100 us of yielding before a worker sleeps: longer than the gaps between the operations
// of a step, shorter than the step of another rank that wants the core.
constexpr int kSpins = 1000;
constexpr int kYields = 200;

constexpr uint64_t kRemainingMask = 0xFFFFFFFF;
constexpr uint64_t kNextJob = kRemainingMask + 1;

thread_local int index_in_pool = 0;
thread_local int64_t waits = 0;

void relax() {
  __builtin_ia32_pause();
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  for (int i = 1; i < threads; ++i) {
    workers_.emplace_back([this, i] {
      index_in_pool = i;
      work();
    });
  }
}

int ThreadPool::this_thread() {
  return index_in_pool;
}

int64_t ThreadPool::waits_of_this_thread() {
  return waits;
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) {
    worker.join();
  }
}

void ThreadPool::run(int64_t chunks, Function function, void* context) {
  ++waits;
  function_ = function;
  context_ = context;
  chunks_ = chunks;
  unfinished_.store(chunks, std::memory_order_relaxed);
  const uint64_t job = (ticket_.load(std::memory_order_relaxed) & ~kRemainingMask) + kNextJob;
  ticket_.store(job | static_cast<uint64_t>(chunks));
  if (sleepers_.load() > 0) {
    // A worker between its last look at the ticket and its sleep holds the mutex.
    { const std::lock_guard lock(mutex_); }
    wake_.notify_all();
  }
  while (claim_and_run()) {
  }
  for (int spins = 0; unfinished_.load(std::memory_order_acquire) > 0;) {
    if (++spins < kSpins) {
      relax();
    } else {
      sched_yield();
    }
  }
}

bool ThreadPool::claim_and_run() {
  uint64_t ticket = ticket_.load(std::memory_order_acquire);
  do {
    if ((ticket & kRemainingMask) == 0) {
      return false;
    }
  } while (!ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel, std::memory_order_acquire));
  function_(context_, chunks_ - static_cast<int64_t>(ticket & kRemainingMask));
  unfinished_.fetch_sub(1, std::memory_order_release);
  return true;
}

void ThreadPool::work() {
  while (wait_for_job()) {
    while (claim_and_run()) {
    }
  }
}

bool ThreadPool::wait_for_job() {
  const auto has_work = [this] { return (ticket_.load() & kRemainingMask) != 0; };
  for (int i = 0; i < kSpins + kYields; ++i) {
    if (has_work()) {
      return true;
    }
    if (stopping_.load(std::memory_order_relaxed)) {
      return false;
    }
    if (i < kSpins) {
      relax();
    } else {
      sched_yield();
    }
  }
  std::unique_lock lock(mutex_);
  ++sleepers_;
  wake_.wait(lock, [&] { return has_work() || stopping_.load(); });
  --sleepers_;
  return !stopping_.load();
}

}  // namespace longship
