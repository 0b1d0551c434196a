#pragma once

#include <functional>
#include <thread>

namespace longship {

/// SIGINT, SIGTERM, SIGHUP and SIGUSR1 of this process, taken by a thread of its own. Make it before other threads,
/// which inherit that these signals are blocked; one object at a time.
class Interrupts {
 public:
  /// `consume` may take a signal (and returns true); otherwise `before_exit` runs and the process ends at once, with
  /// 128 plus the signal's number.
  Interrupts(std::function<bool(int signal)> consume, std::function<void()> before_exit);
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

 private:
  void wait();

  std::function<bool(int signal)> consume_;
  std::function<void()> before_exit_;
  int signals_ = -1;
  int stop_ = -1;
  std::thread thread_;
};

}  // namespace longship
