#pragma once

#include <chrono>
#include <functional>

#include "launcher/assemble.h"
#include "launcher/options/engine_flags.h"

namespace longship {

/// Makes a front end, and all of it that may fail, before ranks start or weights load; in a thread of its own beside
/// the loading where there is one rank, in this process.
using PrepareFrontEnd = std::function<FrontEnd()>;

/// May take a SIGINT, SIGTERM, SIGHUP or SIGUSR1 of this process, in a thread of its own.
using OnSignal = std::function<bool(int signal)>;

/// What follows the loss of ranks that are children of this process.
enum class AfterLoss : uint8_t { kEnd, kStartAgain };

/// Runs a front end on an engine, wherever the ranks come from, and returns the exit code:
///  - started by mpirun or srun: every rank calls this; the front end lives in the leader;
///  - alone, on a mesh of one rank that need not survive its loss: in this process;
///  - else the ranks are children of this process (through mpirun if they are several), where the front end lives.
/// A signal that `on_signal` does not take ends the job at once: outside a launcher, and in the leader of a job that
/// would start again, where it comes from the launcher that ends every rank: the others give the leader `grace` to end
/// the job by itself; launchers, which kill what is left, give about a second by default. Errors: all kinds.
int run_job(EngineFlags flags, const PrepareFrontEnd& prepare, const OnSignal& on_signal,
            AfterLoss after_loss = AfterLoss::kEnd, std::chrono::seconds grace = std::chrono::seconds(1));

/// Runs `measure` on an engine of each mesh in turn, with its place among them, then `finish`, and returns what that
/// does. Under a launcher the ranks of a mesh are the first ones of the job, and followers return 0; else each mesh is
/// started as run_job() does. Errors: all kinds; kUsage for a mesh that is larger than the job.
int run_meshes(const EngineFlags& flags, const std::vector<MeshShape>& meshes,
               const std::function<void(std::size_t, Engine&)>& measure, const std::function<int()>& finish);

/// What a rank of a self-started job does: its front end serves the process that started the job.
int run_child_rank(const EngineFlags& flags);

}  // namespace longship
