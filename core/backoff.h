#pragma once

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace longship {

/// How a thread waits for another thread or process without burning a core: it spins briefly, then yields,
/// then sleeps for a sixteenth of the time that it has waited, within limits. One object a wait.
class Backoff {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr int kUsualSpins = 200;

  /// Spins and yields for `awake` before the first sleep; no sleep is longer than `longest_nap`. `spins`: looks before
  /// the first yield, 0 where the awaited may need this core.
  explicit Backoff(std::chrono::microseconds awake = std::chrono::milliseconds(2),
                   std::chrono::microseconds longest_nap = std::chrono::microseconds(200), int spins = kUsualSpins)
      : awake_(awake), longest_nap_(longest_nap), spins_left_(spins) {}

  /// Called after each look that found nothing. Returns the time waited so far, zero while it spins.
  Clock::duration pause() {
    return pause([](Clock::duration nap) { std::this_thread::sleep_for(nap); });
  }

  /// The same with another way to sleep: sleep(duration), which may end early.
  template <class Sleep>
  Clock::duration pause(const Sleep& sleep) {
    if (spins_left_ > 0) {
      --spins_left_;
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
      return Clock::duration::zero();
    }
    const auto now = Clock::now();
    if (start_ == Clock::time_point()) {
      start_ = now;
    }
    const auto waited = now - start_;
    if (waited < awake_) {
      sched_yield();
    } else {
      sleep(std::clamp<Clock::duration>(waited / 16, kShortestNap, longest_nap_));
    }
    return waited;
  }

 private:
  static constexpr std::chrono::microseconds kShortestNap{50};

  std::chrono::microseconds awake_;
  std::chrono::microseconds longest_nap_;
  int spins_left_;
  Clock::time_point start_;
};

}  // namespace longship
