#pragma once

#include "engine/schedule/step_executor.h"
#include "engine/schedule/step_source.h"

namespace longship {

/// The loop that every rank runs, whatever its role, until its source ends.
inline void run_rank_loop(StepSource& source, StepExecutor& executor) {
  while (auto plan = source.next()) {
    source.commit(executor.execute(*plan));
  }
}

}  // namespace longship
