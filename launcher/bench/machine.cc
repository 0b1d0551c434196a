#include "launcher/bench/machine.h"

#include <unistd.h>

#include <array>
#include <fstream>
#include <string>

#include "engine/backend/kernels.h"
#include "launcher/host/host_cores.h"

namespace longship {

namespace {

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) {
      return line.substr(colon + 2);
    }
  }
  return "unknown";
}

std::string host_name() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

}  // namespace

Json describe_machine() {
  Json machine;
  machine.set("host", host_name());
  machine.set("cpu", cpu_model());
  machine.set("cores", allowed_cores());
  machine.set("isa", make_kernels({})->name());
  machine.set("memory_bytes", static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE));
  machine.set("version", LONGSHIP_VERSION);
  return machine;
}

}  // namespace longship
