#include "launcher/host/launcher_process.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <sstream>
#include <string_view>

namespace longship {

namespace {

constexpr std::array<std::string_view, 4> kMpiruns = {"mpirun", "mpiexec", "orterun", "prterun"};
constexpr std::array<std::string_view, 3> kDaemons = {"orted", "prted", "slurmstepd"};
constexpr int kMostLevels = 16;

// mpirun may be called mpirun.openmpi.
bool is_one_of(const auto& names, const std::string& program) {
  return std::ranges::any_of(names, [&](std::string_view name) { return program.starts_with(name); });
}

std::string program_of(int process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/comm");
  std::string program;
  std::getline(file, program);
  return program;
}

// 0 if it has none.
int parent_of(int process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/status");
  for (std::string word; file >> word;) {
    int parent = 0;
    if (word == "PPid:" && file >> parent) return parent;
  }
  return 0;
}

bool ends_within(int descriptor, std::chrono::milliseconds limit) {
  pollfd ended{.fd = descriptor, .events = POLLIN, .revents = 0};
  return poll(&ended, 1, static_cast<int>(limit.count())) > 0;
}

}  // namespace

LauncherProcess::LauncherProcess() {
  int process = getppid();
  for (int level = 0; level < kMostLevels && process > 1; ++level, process = parent_of(process)) {
    const int descriptor = static_cast<int>(syscall(SYS_pidfd_open, process, 0));
    const std::string program = program_of(process);
    is_mpirun_ = is_one_of(kMpiruns, program);
    if (descriptor >= 0 && (is_mpirun_ || is_one_of(kDaemons, program))) {
      descriptor_ = descriptor;
      name_ = program + " (process " + std::to_string(process) + ")";
      return;
    }
    if (descriptor >= 0) close(descriptor);
  }
}

LauncherProcess::~LauncherProcess() {
  if (descriptor_ >= 0) close(descriptor_);
}

bool LauncherProcess::has_ended() const {
  return descriptor_ >= 0 && ends_within(descriptor_, std::chrono::milliseconds(0));
}

void LauncherProcess::kill_after(std::chrono::milliseconds patience) const {
  if (descriptor_ < 0 || !is_mpirun_ || fork() != 0) {
    return;
  }
  // Behind a fork of a process with threads: nothing here may take memory or locks. mpirun waits for those who hold the
  // pipes of its ranks.
  setsid();
  if (dup2(descriptor_, 0) == 0 && close_range(1, ~0U, 0) == 0 && !ends_within(0, patience)) {
    syscall(SYS_pidfd_send_signal, 0, SIGKILL, nullptr, 0);
  }
  _exit(0);
}

void remove_mapped_segments() {
  std::set<std::string> files;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const auto path = line.find('/');
    if (path == std::string::npos) continue;
    const std::string file = line.substr(path);
    const std::string name = file.substr(file.rfind('/') + 1);
    if (name.starts_with("vader_segment.") || name.starts_with("sm_segment.")) files.insert(file);
  }
  for (const std::string& file : files) unlink(file.c_str());
}

}  // namespace longship
