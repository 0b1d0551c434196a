#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace longship {

/// Progress of loading on standard error: a bar on a terminal, one line of the log at the
/// end elsewhere. Any thread may call.
class LoadBar {
 public:
  /// `what` names the model and its mesh.
  explicit LoadBar(std::string what);

  void update(int64_t bytes_done, int64_t bytes_total);
  /// Removes the bar, or prints the line. Once; later updates are ignored.
  void finish();

 private:
  void draw(int64_t bytes_done, int64_t bytes_total);

  std::string what_;
  bool terminal_;
  std::mutex mutex_;
  int64_t bytes_total_ = 0;
  bool finished_ = false;
  std::chrono::steady_clock::time_point started_;
  std::chrono::steady_clock::time_point next_draw_;
};

}  // namespace longship
