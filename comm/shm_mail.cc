#include "comm/shm_mail.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>

namespace longship {

namespace {

constexpr std::size_t kMessagesWaiting = 16;
// A long message is handed over in pieces, so that it is read while it is written.
constexpr int64_t kPieceBytes = int64_t{1} << 16;

std::size_t index(int rank) {
  return static_cast<std::size_t>(rank);
}

}  // namespace

ShmMail::ShmMail(ShmGroup& group) : group_(group), waiting_(index(group.size())) {
  group_.job().outboxes.push_back(this);
}

ShmMail::~ShmMail() {
  try {
    for (int to = 0; to < group_.size() && !group_.job().broken && std::uncaught_exceptions() == 0; ++to) {
      group_.wait_until([&] { return advance(to), waiting_[index(to)].empty(); }, to, "send to");
    }
  } catch (const std::exception&) {
    group_.job().broken = true;
  }
  std::erase(group_.job().outboxes, static_cast<Outbox*>(this));
}

// One side of a ring: the bytes that lie in it without a break from a position on, at most `bytes`.
int64_t ShmMail::write_some(int to, const std::byte* data, int64_t bytes) {
  ShmGroup::Pipe& pipe = group_.pipe(group_.rank(), to);
  const uint64_t written = pipe.written.load(std::memory_order_relaxed);
  const auto filled = static_cast<int64_t>(written - pipe.read.load(std::memory_order_acquire));
  const auto at = static_cast<int64_t>(written % static_cast<uint64_t>(group_.pipe_bytes()));
  const int64_t count = std::min({bytes, group_.pipe_bytes() - filled, group_.pipe_bytes() - at, kPieceBytes});
  if (count > 0) {
    std::memcpy(group_.pipe_data(group_.rank(), to) + at, data, static_cast<std::size_t>(count));
    pipe.written.store(written + static_cast<uint64_t>(count), std::memory_order_release);
  }
  return count;
}

int64_t ShmMail::read_some(int from, std::byte* data, int64_t bytes) {
  ShmGroup::Pipe& pipe = group_.pipe(from, group_.rank());
  const uint64_t read = pipe.read.load(std::memory_order_relaxed);
  const auto filled = static_cast<int64_t>(pipe.written.load(std::memory_order_acquire) - read);
  const auto at = static_cast<int64_t>(read % static_cast<uint64_t>(group_.pipe_bytes()));
  const int64_t count = std::min({bytes, filled, group_.pipe_bytes() - at, kPieceBytes});
  if (count > 0) {
    std::memcpy(data, group_.pipe_data(from, group_.rank()) + at, static_cast<std::size_t>(count));
    pipe.read.store(read + static_cast<uint64_t>(count), std::memory_order_release);
  }
  return count;
}

// Into the pipe as far as there is room and nothing waits before it, the rest to wait here.
void ShmMail::put(int to, const std::byte* data, int64_t bytes) {
  int64_t done = 0;
  while (waiting_[index(to)].empty() && done < bytes) {
    const int64_t count = write_some(to, data + done, bytes - done);
    done += count;
    if (count == 0) {
      break;
    }
  }
  if (done < bytes) {
    waiting_[index(to)].push_back({Bytes(data + done, data + bytes)});
  }
}

void ShmMail::take(int from, std::byte* data, int64_t bytes) {
  for (int64_t done = 0; done < bytes;) {
    int64_t count = 0;
    group_.wait_until([&] { return (count = read_some(from, data + done, bytes - done)) > 0; }, from, "recv from");
    done += count;
    // Two ranks that send to each other and then receive must both hand over what still waits.
    group_.job().advance();
  }
}

void ShmMail::send(const std::byte* data, int64_t bytes, int to) {
  std::deque<Waiting>& waiting = waiting_[index(to)];
  group_.wait_until([&] { return advance(to), waiting.size() < kMessagesWaiting; }, to, "send to");
  put(to, reinterpret_cast<const std::byte*>(&bytes), sizeof bytes);
  put(to, data, bytes);
}

void ShmMail::receive(std::byte* data, int64_t bytes, int from) {
  int64_t size = 0;
  take(from, reinterpret_cast<std::byte*>(&size), sizeof size);
  LONGSHIP_CHECK(size == bytes, "a message has the size that its receiver expects");
  take(from, data, bytes);
}

void ShmMail::advance() {
  for (int to = 0; to < group_.size(); ++to) {
    advance(to);
  }
}

bool ShmMail::empty() const {
  return std::ranges::all_of(waiting_, [](const std::deque<Waiting>& waiting) { return waiting.empty(); });
}

void ShmMail::advance(int to) {
  std::deque<Waiting>& waiting = waiting_[index(to)];
  while (!waiting.empty()) {
    Waiting& first = waiting.front();
    const auto left = static_cast<int64_t>(first.bytes.size() - first.gone);
    const int64_t count = write_some(to, first.bytes.data() + first.gone, left);
    first.gone += static_cast<std::size_t>(count);
    if (count == 0) {
      return;
    }
    if (first.gone == first.bytes.size()) {
      waiting.pop_front();
    }
  }
}

}  // namespace longship
