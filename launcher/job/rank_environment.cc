#include "launcher/job/rank_environment.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <numeric>
#include <sstream>
#include <string>

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

// "4", "2(x3),1": tasks of each node of this step. Empty for another text, or for more than can be.
std::vector<int> slurm_tasks_per_node() {
  constexpr int kMost = 1 << 16;
  const char* text = std::getenv("SLURM_STEP_TASKS_PER_NODE");
  std::istringstream parts(text == nullptr ? "" : text);
  std::vector<int> tasks;
  for (std::string part; std::getline(parts, part, ',');) {
    int count = 0;
    int times = 1;
    if (std::sscanf(part.c_str(), "%5d(x%5d)", &count, &times) < 1 || count < 1 || times < 1 ||
        tasks.size() + static_cast<std::size_t>(times) > kMost) {
      return {};
    }
    tasks.insert(tasks.end(), static_cast<std::size_t>(times), count);
  }
  return tasks;
}

}  // namespace

int environment_rank() {
  return first_number({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"});
}

int environment_ranks() {
  return std::max(1, first_number({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS"}));
}

std::vector<int> environment_ranks_per_host() {
  const int ranks = environment_ranks();
  if (std::vector<int> hosts = slurm_tasks_per_node(); std::accumulate(hosts.begin(), hosts.end(), 0) == ranks) {
    return hosts;
  }
  const int said = first_number({"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"});
  const int here = std::max(1, std::min(said, ranks));
  std::vector<int> hosts(static_cast<std::size_t>(ranks / here), here);
  if (ranks % here != 0) {
    hosts.push_back(ranks % here);
  }
  return hosts;
}

int environment_hosts() {
  return std::max(1, first_number({"SLURM_JOB_NUM_NODES", "SLURM_NNODES"}));
}

}  // namespace longship
