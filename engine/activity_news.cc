#include "engine/activity_news.h"

namespace longship {

std::optional<RankActivity> ActivityNews::take(Clock::time_point now) {
  if (now < due()) {
    return std::nullopt;
  }
  facts_.clock_ns = now_ns();
  facts_.steps = spans_.totals(SpanKind::kStep);
  facts_.collectives = spans_.totals(SpanKind::kCollective);
  facts_.moving_ns = spans_.take_moving_ns();
  facts_.sends = spans_.totals(SpanKind::kSend);
  facts_.receives = spans_.totals(SpanKind::kReceive);
  steps_said_ = facts_.steps.count;
  next_ = now + kPeriod;
  return facts_;
}

ActivityNews::Clock::time_point ActivityNews::due() const {
  return spans_.totals(SpanKind::kStep).count == steps_said_ ? Clock::time_point::max() : next_;
}

}  // namespace longship
