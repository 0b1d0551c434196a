#include "launcher/host/host_cores.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <thread>

#include "launcher/host/control_groups.h"

namespace longship {

namespace fs = std::filesystem;

namespace {

std::optional<double> smaller(std::optional<double> a, std::optional<double> b) {
  if (!a || !b) {
    return a ? a : b;
  }
  return std::min(*a, *b);
}

// "max 100000" or "150000 100000": quota and period in microseconds.
std::optional<double> quota_v2(const fs::path& folder) {
  std::ifstream file(folder / "cpu.max");
  double quota = 0;
  double period = 0;
  if (file >> quota >> period && quota > 0 && period > 0) {
    return quota / period;
  }
  return std::nullopt;
}

std::optional<double> quota_v1(const fs::path& folder) {
  std::ifstream quota_file(folder / "cpu.cfs_quota_us");
  std::ifstream period_file(folder / "cpu.cfs_period_us");
  double quota = 0;
  double period = 0;
  if (quota_file >> quota && period_file >> period && quota > 0 && period > 0) {
    return quota / period;
  }
  return std::nullopt;
}

int affinity_cores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (sched_getaffinity(0, sizeof(cores), &cores) == 0) {
    return CPU_COUNT(&cores);
  }
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

}  // namespace

std::optional<double> cgroup_cpu_quota(const fs::path& root) {
  std::optional<double> least;
  for (const ControlGroup& group : control_groups("cpu", root)) {
    least = smaller(least, group.version == 1 ? quota_v1(group.folder) : quota_v2(group.folder));
  }
  return least;
}

int allowed_cores() {
  const int cores = affinity_cores();
  const std::optional<double> quota = cgroup_cpu_quota();
  return std::max(1, quota ? std::min(cores, static_cast<int>(std::ceil(*quota))) : cores);
}

int threads_per_rank(int allowed_cores, int ranks) {
  return std::max(1, allowed_cores / std::max(1, ranks));
}

}  // namespace longship
