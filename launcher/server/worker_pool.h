#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace longship {

/// Threads for what would hold up the server's own. What is large leaves one of them to the rest. Any thread may
/// submit.
class WorkerPool {
 public:
  /// `threads`: at least 2. `most`: pieces of work that wait at a time.
  WorkerPool(int threads, std::size_t most);
  /// Finishes what is being worked on; what waits is dropped.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// False if too much waits. `work` does not throw.
  bool submit(std::function<void()> work, bool large);

 private:
  void run(bool takes_large);
  std::function<void()> take(bool takes_large);

  std::size_t most_;
  std::mutex mutex_;
  std::condition_variable news_;
  std::deque<std::function<void()>> small_;
  std::deque<std::function<void()>> large_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace longship
