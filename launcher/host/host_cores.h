#pragma once

#include <filesystem>
#include <optional>

namespace longship {

/// Cores' worth of processor time that the control groups of this process allow (version 1 and 2, every level of the
/// hierarchy), or nothing if none limits it. `root` stands before /proc and /sys.
std::optional<double> cgroup_cpu_quota(const std::filesystem::path& root = "/");

/// Cores that this process may use: its affinity mask within its control groups' quota, at least 1.
int allowed_cores();

/// Compute threads of each of `ranks` ranks that share this host's allowed cores, at least 1.
int threads_per_rank(int allowed_cores, int ranks);

}  // namespace longship
