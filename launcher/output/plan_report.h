#pragma once

#include "launcher/assemble.h"
#include "launcher/options/engine_flags.h"

namespace longship {

/// Writes a plan of the memory of every rank to the standard output, for people or as JSON.
void print_plan(const MemoryPlan& plan, const EngineOptions& options, bool json);

/// What --dry-run of a command that runs an engine does: prints the plan of the job that the same words would start
/// here, on the first rank if a launcher started this process, and loads nothing. Hosts are taken to be alike, with
/// this one's free memory. Returns 0. Errors: kUsage, kModelFile, kDoesNotFit, as the job would fail.
int dry_run(const EngineFlags& flags, bool json);

}  // namespace longship
