#pragma once

#include <vector>

namespace longship {

/// This process's rank as its launcher's environment says before MPI is initialised; 0 without a launcher.
int environment_rank();

/// Ranks of this job as the environment says; 1 without a launcher.
int environment_ranks();

/// Ranks of this job on each host as the environment says; mpirun tells of this host alone, to which the others are
/// taken to be alike.
std::vector<int> environment_ranks_per_host();

/// Hosts of the batch system's job that this process runs in, as the environment says; 1 without one.
int environment_hosts();

}  // namespace longship
