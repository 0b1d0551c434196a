#include "comm/launched.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "comm/transport.h"

namespace longship {

namespace {

// The value of an environment variable that holds a number, or -1.
long long number_from(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr || *text == '\0') {
    return -1;
  }
  char* end = nullptr;
  const long long value = std::strtoll(text, &end, 10);
  return *end == '\0' ? value : -1;
}

// A batch script and an interactive allocation also run in a step, of a reserved number.
bool in_slurm_task() {
  constexpr long long kFirstReservedStep = 0xfffffff0;
  const long long step = number_from("SLURM_STEP_ID");
  return step >= 0 && step < kFirstReservedStep && number_from("SLURM_PROCID") >= 0 &&
         number_from("SLURM_STEP_NUM_TASKS") > 1;
}

}  // namespace

bool launched_as_rank() {
  const bool of_older_pmi = number_from("PMI_RANK") >= 0 && ranks_of_launcher() > 1;  // alone it needs no MPI
  return number_from("OMPI_COMM_WORLD_RANK") >= 0 || number_from("PMIX_RANK") >= 0 || of_older_pmi || in_slurm_task();
}

bool launched_without_pmi(bool only_pmix) {
  const bool pmi = number_from("PMIX_RANK") >= 0 || (!only_pmix && number_from("PMI_RANK") >= 0);
  return in_slurm_task() && !pmi;
}

int ranks_of_launcher() {
  const long long slurm = in_slurm_task() ? number_from("SLURM_STEP_NUM_TASKS") : 1;
  return static_cast<int>(std::max({1LL, number_from("OMPI_COMM_WORLD_SIZE"), number_from("PMI_SIZE"), slurm}));
}

}  // namespace longship
