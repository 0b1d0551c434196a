#pragma once

namespace longship {

/// This process's rank as its launcher's environment says before MPI is initialised; 0 without a launcher.
int environment_rank();

/// Ranks of this job as the environment says; 1 without a launcher.
int environment_ranks();

/// Ranks of this job on this host as the environment says; 0 where it does not.
int environment_local_ranks();

}  // namespace longship
