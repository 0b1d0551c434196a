#pragma once

#include <chrono>

namespace longship {

/// A process of this host that need not be a child of this one; its number may be given to another once it has ended,
/// the handle stays its own.
class ProcessHandle {
 public:
  /// The process that has this number now, if there is one.
  explicit ProcessHandle(int pid);
  ~ProcessHandle();
  ProcessHandle(const ProcessHandle&) = delete;
  ProcessHandle& operator=(const ProcessHandle&) = delete;

  void signal(int number) const;
  /// Waits until it has ended and given its memory back; false at the deadline.
  bool wait_until_ended(std::chrono::steady_clock::time_point deadline) const;

 private:
  int descriptor_;
};

}  // namespace longship
