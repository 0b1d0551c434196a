#include "launcher/job/rank_reports.h"

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

// Collectives of one stage, whose ranks are at `members`: all have the same ones in the same order, as far as their
// logs had room.
void split_collectives(const std::vector<RankReport>& reports, const std::vector<std::size_t>& members,
                       std::vector<RankTime>& times) {
  std::vector<std::vector<int64_t>> durations;
  std::size_t count = SIZE_MAX;
  for (const std::size_t member : members) {
    durations.push_back(collectives_of(reports[member]));
    count = std::min(count, durations.back().size());
  }
  for (std::size_t i = 0; i < count; ++i) {
    int64_t shortest = durations.front()[i];
    for (const auto& of_member : durations) {
      shortest = std::min(shortest, of_member[i]);
    }
    for (std::size_t m = 0; m < members.size(); ++m) {
      times[members[m]].communication += shortest;
      times[members[m]].waiting += durations[m][i] - shortest;
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

double host_share(const RankReport& report) {
  std::vector<double> shares;
  const NamedSpan* last = nullptr;
  for (const NamedSpan& span : report.spans) {
    if (span.kind == SpanKind::kStep) {
      if (last != nullptr && span.end_ns > last->end_ns) {
        shares.push_back(static_cast<double>(span.begin_ns - last->end_ns) /
                         static_cast<double>(span.end_ns - last->end_ns));
      }
      last = &span;
    }
  }
  if (shares.empty()) {
    return 0;
  }
  const auto middle = shares.begin() + std::ssize(shares) / 2;
  std::nth_element(shares.begin(), middle, shares.end());
  return *middle;
}

std::vector<RankTime> rank_times(const std::vector<RankReport>& reports) {
  std::vector<RankTime> times;
  std::map<int, std::vector<std::size_t>> stages;
  for (std::size_t i = 0; i < reports.size(); ++i) {
    times.push_back(time_of(reports[i]));
    stages[reports[i].pp].push_back(i);
  }
  for (const auto& [stage, members] : stages) {
    split_collectives(reports, members, times);
  }
  return times;
}

}  // namespace longship
