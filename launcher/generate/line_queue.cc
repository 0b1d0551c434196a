#include "launcher/generate/line_queue.h"

#include <thread>

namespace longship {

namespace {
constexpr std::size_t kMostLines = 64;
constexpr std::size_t kMostLineBytes = std::size_t{64} << 20;
}  // namespace

LineQueue::LineQueue(std::shared_ptr<std::istream> input) : state_(std::make_shared<State>()) {
  std::thread([input = std::move(input), state = state_] { read(*input, *state); }).detach();
}

void LineQueue::read(std::istream& input, State& state) {
  std::string line;
  while (std::getline(input, line)) {
    if (line.size() > kMostLineBytes) {
      line.clear();
    }
    std::unique_lock lock(state.mutex);
    state.changed.wait(lock, [&] { return state.lines.size() < kMostLines; });
    state.lines.push_back(std::move(line));
    state.changed.notify_all();
  }
  const std::lock_guard lock(state.mutex);
  state.ended = true;
  state.changed.notify_all();
}

std::optional<std::string> LineQueue::pop(Deadline deadline) {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait_until(lock, deadline, [this] { return !state_->lines.empty() || state_->ended; });
  if (state_->lines.empty()) {
    return std::nullopt;
  }
  std::string line = std::move(state_->lines.front());
  state_->lines.pop_front();
  state_->changed.notify_all();
  return line;
}

bool LineQueue::ended() const {
  const std::lock_guard lock(state_->mutex);
  return state_->ended && state_->lines.empty();
}

}  // namespace longship
