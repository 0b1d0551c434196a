#pragma once

#include "engine/schedule/step_plan.h"
#include "engine/schedule/step_result.h"

namespace longship {

/// What runs a plan on this rank.
class StepExecutor {
 public:
  virtual ~StepExecutor() = default;
  virtual StepResult execute(const StepPlan& plan) = 0;
};

}  // namespace longship
