#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <istream>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace longship {

/// Lines of a stream, read ahead by a thread of its own, so that waiting for input does not keep finished work from
/// being written. A line longer than the limit arrives as an empty one.
class LineQueue {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  /// Begins to read `input`, which the reading thread keeps alive: it may outlive the queue.
  explicit LineQueue(std::shared_ptr<std::istream> input);

  /// The next line, or nothing at the deadline or the end.
  std::optional<std::string> pop(Deadline deadline);
  /// Whether the input has ended and every line was taken.
  bool ended() const;

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::string> lines;
    bool ended = false;
  };
  static void read(std::istream& input, State& state);

  std::shared_ptr<State> state_;
};

}  // namespace longship
