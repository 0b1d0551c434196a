#include "launcher/host/host_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

#include "launcher/host/control_groups.h"

namespace longship {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

// Names of a group's files, and of the line that says how much file cache nobody uses now.
struct GroupFiles {
  const char* limit;
  const char* usage;
  const char* idle_cache;
};
constexpr GroupFiles kVersion1 = {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"};
constexpr GroupFiles kVersion2 = {"memory.max", "memory.current", "inactive_file"};

std::optional<int64_t> read_number(const fs::path& path) {
  std::ifstream file(path);
  int64_t value = 0;
  return file >> value ? std::optional(value) : std::nullopt;
}

// The number behind a word at the start of a line.
std::optional<int64_t> read_entry(const fs::path& path, const std::string& name) {
  std::ifstream file(path);
  std::string key;
  int64_t value = 0;
  std::string rest;
  while (file >> key >> value) {
    if (key == name) {
      return value;
    }
    std::getline(file, rest);
  }
  return std::nullopt;
}

int64_t available_in(const ControlGroup& group) {
  const GroupFiles& files = group.version == 1 ? kVersion1 : kVersion2;
  const std::optional<int64_t> limit = read_number(group.folder / files.limit);
  const std::optional<int64_t> usage = read_number(group.folder / files.usage);
  if (!limit || !usage) {
    return kUnlimited;
  }
  const int64_t cache = read_entry(group.folder / "memory.stat", files.idle_cache).value_or(0);
  return std::max<int64_t>(0, *limit - std::max<int64_t>(0, *usage - cache));
}

}  // namespace

int64_t available_memory_bytes(const fs::path& root) {
  const std::optional<int64_t> kilobytes = read_entry(root / "proc/meminfo", "MemAvailable:");
  int64_t least = kilobytes ? *kilobytes * 1024 : kUnlimited;
  for (const ControlGroup& group : control_groups("memory", root)) {
    least = std::min(least, available_in(group));
  }
  return least;
}

}  // namespace longship
