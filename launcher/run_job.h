#pragma once

#include <functional>

#include "launcher/assemble.h"
#include "launcher/engine_flags.h"

namespace longship {

/// Makes a front end, and all of it that may fail, before ranks start or weights load.
using PrepareFrontEnd = std::function<FrontEnd()>;

/// May take a SIGINT, SIGTERM or SIGHUP of this process, in a thread of its own.
using OnSignal = std::function<bool(int signal)>;

/// What follows the loss of ranks that are children of this process.
enum class AfterLoss : uint8_t { kEnd, kStartAgain };

/// Runs a front end on an engine, wherever the ranks come from, and returns the exit code:
///  - started by mpirun or srun: every rank calls this; the front end lives in the leader;
///  - alone, on a mesh of one rank: in this process;
///  - alone, on a larger mesh: the ranks are children of mpirun, a child of this process, where the front end lives.
/// Outside a launcher a signal that `on_signal` does not take ends the job at once. Errors: all kinds.
int run_job(EngineFlags flags, const PrepareFrontEnd& prepare, const OnSignal& on_signal,
            AfterLoss after_loss = AfterLoss::kEnd);

/// What a rank of a self-started job does: its front end serves the process that started the job.
int run_child_rank(const EngineFlags& flags);

}  // namespace longship
