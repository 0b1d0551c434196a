#pragma once

namespace longship {

/// How many ranks the launcher that started this process says there are; 1 if none did.
int ranks_of_launcher();

/// Whether srun started this process as one of several tasks without telling MPI of the others. MPI libraries
/// then end the process with a page of text, or make each task a job of its own. `only_pmix`: the MPI library
/// understands no older PMI.
bool launched_without_pmi(bool only_pmix);

}  // namespace longship
