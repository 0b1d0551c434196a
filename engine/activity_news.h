#pragma once

#include <chrono>
#include <optional>

#include "engine/schedule/rank_activity.h"

namespace longship {

/// When a rank says what it has done: once at its start, at most every kPeriod while it works, and once after. So it
/// costs steps nothing, and an idle rank sleeps. Used by the thread that drives the rank.
class ActivityNews {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kPeriod{500};

  /// `facts`: what does not change. `spans` outlives this.
  ActivityNews(RankActivity facts, SpanLog& spans) : facts_(std::move(facts)), spans_(spans) {}

  /// What was not said before, when it is time to say it.
  std::optional<RankActivity> take(Clock::time_point now);
  /// When there will be something to say; the clock's end if nothing is new.
  Clock::time_point due() const;

 private:
  RankActivity facts_;
  SpanLog& spans_;
  int64_t steps_said_ = -1;
  Clock::time_point next_{};
};

}  // namespace longship
