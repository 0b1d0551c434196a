#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

namespace longship {

/// A folder of a control group that this process is in.
struct ControlGroup {
  std::filesystem::path folder;
  int version = 2;
};

/// The control groups of this process that may limit `controller` ("cpu", "memory"): version 1 and 2, every level of
/// the hierarchy from the mount point down. Inside a container the process's own path may not be visible: then the
/// mount point itself is the group. `root` stands before /proc and /sys.
std::vector<ControlGroup> control_groups(std::string_view controller, const std::filesystem::path& root = "/");

}  // namespace longship
