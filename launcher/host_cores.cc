#include "launcher/host_cores.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

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

// The least quota from the group's folder up to the mount point. Inside a container the path may not be visible: then
// the mount point itself is the group.
template <class Quota>
std::optional<double> least_quota(const fs::path& mount, const fs::path& group, const Quota& quota) {
  std::optional<double> least = quota(mount);
  fs::path folder = mount;
  for (const fs::path& part : group.relative_path()) {
    folder /= part;
    least = smaller(least, quota(folder));
  }
  return least;
}

int affinity_cores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (sched_getaffinity(0, sizeof(cores), &cores) == 0) {
    return CPU_COUNT(&cores);
  }
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

bool names_cpu(const std::string& controllers) {
  std::istringstream list(controllers);
  for (std::string name; std::getline(list, name, ',');) {
    if (name == "cpu") return true;
  }
  return false;
}

}  // namespace

std::optional<double> cgroup_cpu_quota(const fs::path& root) {
  std::optional<double> least;
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // "ID:controllers:/path"
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) {
      continue;
    }
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const fs::path group = line.substr(second + 1);
    const fs::path mounts = root / "sys/fs/cgroup";
    if (controllers.empty()) {
      least = smaller(least, least_quota(mounts, group, quota_v2));
    } else if (names_cpu(controllers)) {
      least = smaller(least, least_quota(mounts / "cpu", group, quota_v1));
    }
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
