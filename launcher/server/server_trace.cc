#include "launcher/server/server_trace.h"

#include "core/error.h"

namespace longship {

namespace {

// Their logs hold far more than ranks do in this time.
constexpr std::chrono::seconds kPeriod(1);
// A report that has not come by then was lost with its ranks.
constexpr std::chrono::seconds kPatience(5);

}  // namespace

void ServerTrace::ask(EngineHub& hub, Clock::time_point now) {
  worked_ = worked_ || !hub.idle();
  if (finished_ || !worked_ || now < asked_ + (awaited_ > 0 ? kPatience : kPeriod)) {
    return;
  }
  worked_ = false;
  awaited_ = 1;
  asked_ = now;
  hub.report(ReportKind::kSpans);
}

void ServerTrace::add(const std::vector<RankReport>& reports) {
  awaited_ -= awaited_ > 0 ? 1 : 0;
  if (!finished_) {
    file_.add(reports);
  }
}

void ServerTrace::take_last(Engine& engine) {
  try {
    engine.report(ReportKind::kSpans);
    ++awaited_;
    const Clock::time_point deadline = Clock::now() + kPatience;
    while (awaited_ > 0 && Clock::now() < deadline) {
      const std::optional<EngineEvent> event = engine.next_event(deadline);
      if (event && event->kind == EngineEvent::Kind::kReport) {
        add(event->reports);
      }
    }
  } catch (const Error&) {  // what came before stays
  }
}

void ServerTrace::finish() {
  if (!finished_) {
    finished_ = true;
    file_.finish();
  }
}

}  // namespace longship
