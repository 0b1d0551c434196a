#include "launcher/rank_environment.h"

#include <algorithm>
#include <cstdlib>
#include <initializer_list>

namespace longship {

namespace {

int first_number(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const char* text = std::getenv(name);
    if (text != nullptr && *text != '\0') {
      return std::atoi(text);
    }
  }
  return 0;
}

}  // namespace

int environment_rank() {
  return first_number({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"});
}

int environment_ranks() {
  return std::max(1, first_number({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS"}));
}

int environment_local_ranks() {
  return first_number({"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"});
}

}  // namespace longship
