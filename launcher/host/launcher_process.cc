#include "launcher/host/launcher_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>

namespace longship {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::array<std::string_view, 4> kMpiruns = {"mpirun", "mpiexec", "orterun", "prterun"};
constexpr std::array<std::string_view, 2> kOpenMpiDaemons = {"orted", "prted"};
constexpr std::array<std::string_view, 1> kOtherDaemons = {"slurmstepd"};
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

bool ends_within(int descriptor, milliseconds limit) {
  pollfd ended{.fd = descriptor, .events = POLLIN, .revents = 0};
  return poll(&ended, 1, static_cast<int>(limit.count())) > 0;
}

void send_signal(int descriptor, int number) {
  syscall(SYS_pidfd_send_signal, descriptor, number, nullptr, 0);
}

// What the helper has as descriptors.
constexpr int kRank = 0;
constexpr int kLauncher = 1;
constexpr int kOrders = 2;

// To each host in turn, first its own, mpirun gives a second before SIGTERM and one more before SIGKILL, also where no
// rank is left. It and its daemons sleep through them, unless a signal comes, as when a rank ends.
constexpr milliseconds kNudge(50);
constexpr milliseconds kMostNudging(5000);

bool has_news(const pollfd& descriptor) {
  return descriptor.revents != 0;
}

// Behind the fork of a process that may have threads: nothing here may take memory or locks.
[[noreturn]] void help_to_end() {
  std::optional<Clock::time_point> kill_at;
  std::optional<Clock::time_point> rank_ended;
  bool hears = true;
  for (;;) {
    std::array<pollfd, 3> news{};
    news[0] = {.fd = kLauncher, .events = POLLIN, .revents = 0};
    news[1] = {.fd = rank_ended ? -1 : kRank, .events = POLLIN, .revents = 0};
    news[2] = {.fd = hears ? kOrders : -1, .events = POLLIN, .revents = 0};
    poll(news.data(), news.size(), rank_ended || kill_at ? static_cast<int>(kNudge.count()) : -1);
    const auto now = Clock::now();
    if (has_news(news[2])) {
      int patience = 0;
      if (read(kOrders, &patience, sizeof(patience)) == sizeof(patience)) kill_at = now + milliseconds(patience);
      hears = false;
    }
    if (has_news(news[1])) rank_ended = now;
    const bool tired = rank_ended && !kill_at && now > *rank_ended + kMostNudging;
    if (has_news(news[0]) || tired) _exit(0);
    if (rank_ended) send_signal(kLauncher, SIGCHLD);
    if (kill_at && now >= *kill_at) send_signal(kLauncher, SIGKILL);
  }
}

// Not to be taken for a rank. Launchers wait for those who hold the pipes of their ranks.
[[noreturn]] void become_helper(int rank, int launcher, int orders) {
  setsid();
  prctl(PR_SET_NAME, "longship-end");
  for (char** variable = environ; *variable != nullptr; ++variable) std::memset(*variable, 0, std::strlen(*variable));
  constexpr int kAbove = 3;  // so that none is overwritten by another
  const int ours[] = {fcntl(rank, F_DUPFD, kAbove), fcntl(launcher, F_DUPFD, kAbove), fcntl(orders, F_DUPFD, kAbove)};
  for (int to = kRank; to <= kOrders; ++to) {
    if (dup2(ours[to], to) != to) _exit(0);
  }
  close_range(kOrders + 1, ~0U, 0);
  help_to_end();
}

bool is_first_of_host() {
  const char* number = std::getenv("OMPI_COMM_WORLD_LOCAL_RANK");
  return number != nullptr && std::string_view(number) == "0";
}

}  // namespace

LauncherProcess::LauncherProcess() {
  int process = getppid();
  for (int level = 0; level < kMostLevels && process > 1; ++level, process = parent_of(process)) {
    const int descriptor = static_cast<int>(syscall(SYS_pidfd_open, process, 0));
    const std::string program = program_of(process);
    is_mpirun_ = is_one_of(kMpiruns, program);
    const bool is_open_mpi = is_mpirun_ || is_one_of(kOpenMpiDaemons, program);
    if (descriptor >= 0 && (is_open_mpi || is_one_of(kOtherDaemons, program))) {
      descriptor_ = descriptor;
      name_ = program + " (process " + std::to_string(process) + ")";
      if (is_open_mpi && is_first_of_host()) start_helper();
      return;
    }
    if (descriptor >= 0) close(descriptor);
  }
}

LauncherProcess::~LauncherProcess() {
  for (const int descriptor : {descriptor_, orders_}) {
    if (descriptor >= 0) close(descriptor);
  }
}

bool LauncherProcess::has_ended() const {
  return descriptor_ >= 0 && ends_within(descriptor_, milliseconds(0));
}

void LauncherProcess::start_helper() {
  const int rank = static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0));
  std::array<int, 2> pipe_ends{-1, -1};
  if (rank >= 0 && pipe2(pipe_ends.data(), O_CLOEXEC) == 0) {
    if (fork() == 0) become_helper(rank, descriptor_, pipe_ends[0]);
    orders_ = pipe_ends[1];
    close(pipe_ends[0]);
  }
  close(rank);
}

void LauncherProcess::kill_after(milliseconds patience) const {
  const auto count = static_cast<int>(patience.count());
  if (is_mpirun_ && orders_ >= 0) {
    [[maybe_unused]] const ssize_t written = write(orders_, &count, sizeof(count));
  }
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
