#include "launcher/host/control_groups.h"

#include <fstream>
#include <sstream>
#include <string>

namespace longship {

namespace fs = std::filesystem;

namespace {

bool names(const std::string& controllers, std::string_view controller) {
  std::istringstream list(controllers);
  for (std::string name; std::getline(list, name, ',');) {
    if (name == controller) return true;
  }
  return false;
}

void add_levels(std::vector<ControlGroup>& groups, const fs::path& mount, const fs::path& group, int version) {
  groups.push_back({mount, version});
  fs::path folder = mount;
  for (const fs::path& part : group.relative_path()) {
    folder /= part;
    groups.push_back({folder, version});
  }
}

}  // namespace

std::vector<ControlGroup> control_groups(std::string_view controller, const fs::path& root) {
  const fs::path mounts = root / "sys/fs/cgroup";
  std::vector<ControlGroup> found;
  std::ifstream lines(root / "proc/self/cgroup");
  for (std::string line; std::getline(lines, line);) {  // "ID:controllers:/path"
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) {
      continue;
    }
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const fs::path group = line.substr(second + 1);
    if (controllers.empty()) {
      add_levels(found, mounts, group, 2);
    } else if (names(controllers, controller)) {
      add_levels(found, mounts / controller, group, 1);
    }
  }
  return found;
}

}  // namespace longship
