#pragma once

#include "engine/model/stage.h"
#include "engine/schedule/rank_report.h"

namespace longship {

/// How fast steps of a size follow one another.
struct StepPace {
  int64_t rows = 0;
  int64_t ns = 0;  ///< Of a step; 0 if there was none.
};

/// Measures what moving the data of steps between ranks takes, by moving as much as steps do at their pace, with
/// computing in between: links then have as long to recover, and who waits for a message has begun to nap. All ranks
/// call each function together with the same arguments and no step running; results are medians.
class TrafficProbe {
 public:
  TrafficProbe(const Stage& stage, const RankContext& ctx) : stage_(stage), ctx_(ctx), cost_(stage.cost()) {}

  StepTraffic measure(const StepPace& pace);
  /// Seconds that a few bytes take from the first rank of `world` to the last, at the pace of steps of one row; 0 on
  /// the ranks between.
  double measure_signal(Communicator& world, const StepPace& pace);

 private:
  double measure_sums(const StepPace& pace);
  double measure_message(const StepPace& pace);
  int64_t stage_ns(const StepPace& pace) const;

  const Stage& stage_;
  RankContext ctx_;
  StageCost cost_;
};

}  // namespace longship
