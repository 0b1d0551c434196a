#pragma once

#include <vector>

#include "comm/communicator.h"
#include "core/span_log.h"
#include "engine/model/stage.h"
#include "engine/schedule/rank_report.h"

namespace longship {

/// Lets the ranks of a job tell the leader about themselves.
class Reporter {
 public:
  struct Sources {
    const Stage& stage;
    const RankContext& ctx;
    SpanLog* spans;  ///< Null if nothing is recorded.
    Communicator& world;
  };

  explicit Reporter(const Sources& sources) : sources_(sources) {}

  /// Collective over the world. The reports of all ranks in their order on the leader; nothing elsewhere.
  std::vector<RankReport> gather(ReportKind kind);

 private:
  RankReport make(ReportKind kind);
  void take_spans(RankReport& report);
  void measure(RankReport& report);
  int64_t largest_over_ranks(int64_t value);
  void meet();

  Sources sources_;
  Stream stream_;
};

}  // namespace longship
