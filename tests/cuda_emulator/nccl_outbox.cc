#include "tests/cuda_emulator/nccl_outbox.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace longship::cuda::emulator {

NcclOutbox::NcclOutbox(NcclMeeting& meeting, int rank, int ranks)
    : meeting_(meeting), rank_(rank), messages_(static_cast<std::size_t>(ranks)) {}

NcclOutbox::~NcclOutbox() {
  thread_ = {};  // stopped and joined before what it uses goes
}

// The thread comes into being with the first message that does not go at once.
void NcclOutbox::send(int to, Bytes bytes) {
  const std::lock_guard lock(mutex_);
  messages_[static_cast<std::size_t>(to)].push_back({std::move(bytes)});
  if (advance()) {
    if (!thread_.joinable()) {
      thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
    }
    changed_.notify_one();
  }
}

bool NcclOutbox::is_empty() {
  const std::lock_guard lock(mutex_);
  return !advance();
}

void NcclOutbox::run(const std::stop_token& stop) {
  constexpr std::chrono::microseconds kNap{200};
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    if (advance()) {
      changed_.wait_for(lock, stop, kNap, [] { return false; });
    } else {
      changed_.wait(lock, stop, [&] { return advance(); });
    }
  }
}

bool NcclOutbox::advance() {
  bool left = false;
  for (std::size_t to = 0; to < messages_.size(); ++to) {
    std::deque<Message>& queue = messages_[to];
    while (!queue.empty()) {
      Message& first = queue.front();
      int64_t written = 0;
      do {
        const auto rest = static_cast<int64_t>(first.bytes.size() - first.gone);
        written = meeting_.write(rank_, static_cast<int>(to), first.bytes.data() + first.gone, rest);
        first.gone += static_cast<std::size_t>(written);
      } while (written > 0);
      if (first.gone < first.bytes.size()) {
        break;
      }
      queue.pop_front();
    }
    left = left || !queue.empty();
  }
  return left;
}

}  // namespace longship::cuda::emulator
