#include "launcher/host_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

namespace longship {

namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

std::optional<int64_t> read_number(const char* path) {
  std::ifstream file(path);
  int64_t value = 0;
  return file >> value ? std::optional(value) : std::nullopt;
}

int64_t kernel_available() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  int64_t kilobytes = 0;
  std::string unit;
  while (file >> key >> kilobytes) {
    std::getline(file, unit);
    if (key == "MemAvailable:") {
      return kilobytes * 1024;
    }
  }
  return kUnlimited;
}

int64_t group_available(const char* limit_file, const char* usage_file) {
  const std::optional<int64_t> limit = read_number(limit_file);
  const std::optional<int64_t> usage = read_number(usage_file);
  return limit && usage ? std::max<int64_t>(0, *limit - *usage) : kUnlimited;
}

}  // namespace

int64_t available_memory_bytes() {
  return std::min(
      {kernel_available(), group_available("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
       group_available("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes")});
}

}  // namespace longship
