#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "comm/control.h"
#include "comm/patience.h"
#include "core/bytes.h"

namespace longship {

/// A first-in first-out queue of frames between two threads.
class FrameQueue {
 public:
  void push(Bytes frame);
  std::optional<Bytes> try_pop();
  /// The next frame, or nothing at the deadline or once the queue is closed.
  std::optional<Bytes> pop(Deadline deadline);
  /// Wakes who waits in pop(). Frames that are there can still be popped.
  void close();
  std::size_t size() const { return size_.load(std::memory_order_acquire); }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Bytes> frames_;
  std::atomic<std::size_t> size_ = 0;
  bool closed_ = false;
};

/// What the ranks of a thread job share. Any thread may call anything.
class ThreadJob {
 public:
  ThreadJob(int ranks, std::chrono::milliseconds deadline);

  int ranks() const { return static_cast<int>(control_.size()); }
  std::chrono::milliseconds deadline() const { return deadline_; }
  /// Frames on their way from the leader to `rank`; for the leader's own, those from the others to it.
  FrameQueue& control(int rank) { return *control_[static_cast<std::size_t>(rank)]; }
  void close_control();

  /// Makes every wait of every rank throw. The first failure is kept.
  void fail(int rank, std::exception_ptr failure);
  /// Throws kRank if a rank has failed.
  void check() const;
  /// The first failure, or null. After all ranks have ended.
  std::exception_ptr failure() const { return failure_; }

 private:
  std::chrono::milliseconds deadline_;
  std::vector<std::unique_ptr<FrameQueue>> control_;
  std::atomic<int> failed_rank_ = -1;
  std::mutex mutex_;
  std::exception_ptr failure_;
};

/// A wait for another rank of the job: ends with an error at the deadline or when any rank fails.
class ThreadWait {
 public:
  ThreadWait(const ThreadJob& job, std::string_view operation) : job_(job), patience_(operation, job.deadline()) {}

  void pause(int peer) {
    job_.check();
    if (!patience_.pause()) {
      throw patience_.error(peer);
    }
  }

 private:
  const ThreadJob& job_;
  Patience patience_;
};

}  // namespace longship
