#include "launcher/rank_reports.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include "core/error.h"

namespace longship {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::minutes kPatience(5);
// Ranks leave a barrier together within this; clocks of two hosts differ by more.
constexpr int64_t kSameClockNs = 20'000'000;

int64_t duration(const NamedSpan& span) {
  return span.end_ns - span.begin_ns;
}

// Time of a rank in all, and what of it went where.
struct RankTime {
  int64_t total = 0;
  int64_t communication = 0;
  int64_t waiting = 0;
};

RankTime time_of(const RankReport& report) {
  RankTime time;
  const NamedSpan* last = nullptr;
  int64_t begin = 0;
  for (const NamedSpan& span : report.spans) {
    if (span.kind == SpanKind::kReceive) {
      time.waiting += duration(span);
    } else if (span.kind == SpanKind::kSend) {
      time.communication += duration(span);
    } else if (span.kind == SpanKind::kStep) {
      if (last == nullptr) {
        begin = span.begin_ns;
      } else if (report.rank != 0) {
        time.waiting += span.begin_ns - last->end_ns;
      }
      last = &span;
    }
  }
  time.total = last == nullptr ? 0 : last->end_ns - begin;
  return time;
}

std::vector<int64_t> collectives_of(const RankReport& report) {
  std::vector<int64_t> durations;
  for (const NamedSpan& span : report.spans) {
    if (span.kind == SpanKind::kCollective) {
      durations.push_back(duration(span));
    }
  }
  return durations;
}

// Collectives of one stage: every rank has the same ones in the same order, as far as its log had room.
void split_collectives(const std::vector<std::vector<int64_t>>& ranks, RankTime& sum) {
  std::size_t count = ranks.front().size();
  for (const auto& durations : ranks) {
    count = std::min(count, durations.size());
  }
  for (std::size_t i = 0; i < count; ++i) {
    int64_t shortest = ranks.front()[i];
    for (const auto& durations : ranks) {
      shortest = std::min(shortest, durations[i]);
    }
    for (const auto& durations : ranks) {
      sum.communication += shortest;
      sum.waiting += durations[i] - shortest;
    }
  }
}

}  // namespace

std::vector<RankReport> take_reports(Engine& engine, ReportKind kind) {
  engine.report(kind);
  const Clock::time_point deadline = Clock::now() + kPatience;
  while (Clock::now() < deadline) {
    std::optional<EngineEvent> event = engine.next_event(deadline);
    if (event && event->kind == EngineEvent::Kind::kReport) {
      return std::move(event->reports);
    }
  }
  throw Error(ErrorKind::kRank, "the ranks sent no report within five minutes", "Look for a rank that hangs.");
}

int64_t clock_lead_ns(const RankReport& rank, const RankReport& leader) {
  const int64_t lead = rank.clock_ns - leader.clock_ns;
  return std::abs(lead) < kSameClockNs ? 0 : lead;
}

TimeShares time_shares(const std::vector<RankReport>& reports, int tp) {
  RankTime sum;
  std::map<int, std::vector<std::vector<int64_t>>> stages;
  for (const RankReport& report : reports) {
    const RankTime time = time_of(report);
    sum.total += time.total;
    sum.communication += time.communication;
    sum.waiting += time.waiting;
    stages[report.pp].push_back(collectives_of(report));
  }
  for (const auto& [stage, ranks] : stages) {
    if (tp > 1) {
      split_collectives(ranks, sum);
    }
  }
  const auto total = static_cast<double>(std::max<int64_t>(1, sum.total));
  return {static_cast<double>(sum.communication) / total, static_cast<double>(sum.waiting) / total};
}

}  // namespace longship
