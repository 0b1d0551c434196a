#include "launcher/server/worker_pool.h"

#include <pthread.h>
#include <signal.h>

#include <utility>

namespace longship {

WorkerPool::WorkerPool(int threads, std::size_t most) : most_(most) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);  // signals are for the thread that waits for them
  pthread_sigmask(SIG_BLOCK, &all, &before);
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this, takes_large = i > 0] { run(takes_large); });
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  news_.notify_all();
  for (std::thread& thread : threads_) {
    thread.join();
  }
}

bool WorkerPool::submit(std::function<void()> work, bool large) {
  {
    const std::lock_guard lock(mutex_);
    if (small_.size() + large_.size() >= most_) {
      return false;
    }
    (large ? large_ : small_).push_back(std::move(work));
  }
  news_.notify_all();
  return true;
}

// The next piece of work; nothing at the end.
std::function<void()> WorkerPool::take(bool takes_large) {
  std::unique_lock lock(mutex_);
  news_.wait(lock, [&] { return stopping_ || !small_.empty() || (takes_large && !large_.empty()); });
  if (stopping_) {
    return {};
  }
  std::deque<std::function<void()>>& queue = small_.empty() ? large_ : small_;
  std::function<void()> work = std::move(queue.front());
  queue.pop_front();
  return work;
}

void WorkerPool::run(bool takes_large) {
  while (const std::function<void()> work = take(takes_large)) {
    work();
  }
}

}  // namespace longship
