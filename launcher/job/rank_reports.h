#pragma once

#include <vector>

#include "engine/engine.h"

namespace longship {

/// Asks all ranks for a report and waits for it; no request may be running. Errors: kRank.
std::vector<RankReport> take_reports(Engine& engine, ReportKind kind);

/// What a rank's clock shows more than the leader's, in nanoseconds; 0 where both are of one host.
int64_t clock_lead_ns(const RankReport& rank, const RankReport& leader);

/// Where the time of one rank went, in nanoseconds.
struct RankTime {
  int64_t total = 0;
  int64_t communication = 0;
  int64_t waiting = 0;

  int64_t computing() const { return total - communication - waiting; }
};

/// Where the time of the recorded steps went, for each report. The time of a rank runs from its first step's begin to
/// its last step's end. A collective of the ranks of a stage is taken as communication for as long as the rank took
/// that came last, as waiting beyond; receiving from another stage, and gaps between the steps of a rank other than the
/// leader, are waiting; sending is communication.
std::vector<RankTime> rank_times(const std::vector<RankReport>& reports);

/// The part of a rank's time that is between its steps, of the middle one of its steps with the gap before it: of the
/// leader, which samples and plans there, its host work. 0 for fewer than two steps.
double host_share(const RankReport& report);

}  // namespace longship
