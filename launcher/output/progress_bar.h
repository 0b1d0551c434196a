#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace longship {

/// Progress of counted work on standard error, with the time that is left: a bar on a terminal, elsewhere a line every
/// half minute. Used by one thread.
class ProgressBar {
 public:
  /// `what` is counted: "requests".
  ProgressBar(std::string what, int64_t total);

  /// `done` of the total; `note` stands behind: "2 failed".
  void update(int64_t done, const std::string& note = {});
  /// Removes the bar.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  std::string line(int64_t done, const std::string& note) const;

  std::string what_;
  int64_t total_;
  bool terminal_;
  int64_t done_before_ = -1;  ///< At the first update: work of an earlier run.
  Clock::time_point started_;
  Clock::time_point next_;
};

/// "1:05" or "2:03:00".
std::string clock_text(std::chrono::seconds time);

}  // namespace longship
