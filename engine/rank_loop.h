#pragma once

#include <new>

#include "core/error.h"
#include "engine/schedule/step_executor.h"
#include "engine/schedule/step_source.h"

namespace longship {

/// The loop that every rank runs, whatever its role, until its source ends. Errors: those of both; kDoesNotFit where
/// memory runs out.
inline void run_rank_loop(StepSource& source, StepExecutor& executor) {
  try {
    while (auto plan = source.next()) {
      source.commit(executor.execute(*plan));
    }
  } catch (const std::bad_alloc&) {
    throw Error(ErrorKind::kDoesNotFit, "memory ran out in a step",
                "Use more ranks (-tp, -pp), or leave more memory free: a smaller --gpu-memory-utilization.");
  }
}

}  // namespace longship
