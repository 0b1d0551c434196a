#pragma once

#include <optional>

#include "engine/schedule/step_plan.h"
#include "engine/schedule/step_result.h"

namespace longship {

/// Where a rank's plans come from and its results go to; chosen once (leader or follower). Used by the one
/// thread that drives the rank.
class StepSource {
 public:
  virtual ~StepSource() = default;

  /// The next plan in the order published, or nothing when the job ends. Waits; the wait burns no core.
  virtual std::optional<StepPlan> next() = 0;
  virtual void commit(const StepResult& result) = 0;
};

}  // namespace longship
