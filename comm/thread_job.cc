#include "comm/thread_job.h"

#include <string>
#include <utility>

namespace longship {

void FrameQueue::push(Bytes frame) {
  {
    const std::lock_guard lock(mutex_);
    frames_.push_back(std::move(frame));
    size_.store(frames_.size(), std::memory_order_release);
  }
  changed_.notify_one();
}

std::optional<Bytes> FrameQueue::try_pop() {
  return size() == 0 ? std::nullopt : pop(Deadline::min());
}

std::optional<Bytes> FrameQueue::pop(Deadline deadline) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, deadline, [&] { return !frames_.empty() || closed_; });
  if (frames_.empty()) {
    return std::nullopt;
  }
  Bytes frame = std::move(frames_.front());
  frames_.pop_front();
  size_.store(frames_.size(), std::memory_order_release);
  return frame;
}

void FrameQueue::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
}

ThreadJob::ThreadJob(int ranks, std::chrono::milliseconds deadline) : deadline_(deadline) {
  for (int rank = 0; rank < ranks; ++rank) {
    control_.push_back(std::make_unique<FrameQueue>());
  }
}

void ThreadJob::close_control() {
  for (const auto& queue : control_) {
    queue->close();
  }
}

void ThreadJob::fail(int rank, std::exception_ptr failure) {
  {
    const std::lock_guard lock(mutex_);
    if (failure_ != nullptr) {
      return;
    }
    failure_ = std::move(failure);
    failed_rank_.store(rank, std::memory_order_release);
  }
  close_control();
}

void ThreadJob::check() const {
  const int rank = failed_rank_.load(std::memory_order_acquire);
  if (rank >= 0) [[unlikely]] {
    throw Error(ErrorKind::kRank, "rank " + std::to_string(rank) + " failed, so this rank stopped waiting");
  }
}

}  // namespace longship
