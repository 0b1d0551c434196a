#include "launcher/job/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <sstream>
#include <system_error>

#include "core/error.h"

namespace longship {

namespace {

constexpr int kExecFailed = 127;

std::vector<std::string> environment_with(const std::vector<ChildProcess::Variable>& variables,
                                          const std::vector<std::string>& without) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('='));
    bool replaced = std::find(without.begin(), without.end(), name) != without.end();
    for (const auto& variable : variables) {
      replaced = replaced || variable.first == name;
    }
    if (!replaced) {
      result.push_back(text);
    }
  }
  for (const auto& [name, value] : variables) {
    result.push_back(name + "=" + value);
  }
  return result;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& text : strings) {
    result.push_back(text.data());
  }
  result.push_back(nullptr);
  return result;
}

// Between fork and exec: only calls that are safe there.
[[noreturn]] void become(const char* program, char* const* arguments, char* const* environment, int output,
                         pid_t parent) {
  setsid();
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) {
    _exit(kExecFailed);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  const int nothing = open("/dev/null", O_RDONLY);
  dup2(nothing, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  execve(program, arguments, environment);
  _exit(kExecFailed);
}

}  // namespace

ChildProcess::ChildProcess(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                           const std::vector<Variable>& variables, const std::vector<std::string>& without) {
  std::vector<std::string> words = arguments;
  words.insert(words.begin(), program.filename().native());
  std::vector<std::string> environment = environment_with(variables, without);
  const std::vector<char*> argv = pointers(words);
  const std::vector<char*> envp = pointers(environment);
  std::array<int, 2> pipe_ends{};
  const pid_t parent = getpid();
  const bool piped = pipe2(pipe_ends.data(), O_CLOEXEC) == 0;
  pid_ = piped ? fork() : -1;
  if (pid_ == 0) {
    become(program.c_str(), argv.data(), envp.data(), pipe_ends[1], parent);
  }
  if (pid_ < 0) {
    throw Error(ErrorKind::kRank, "cannot start " + program.native() + ": " + std::generic_category().message(errno));
  }
  close(pipe_ends[1]);
  output_ = pipe_ends[0];
  fcntl(output_, F_SETFL, O_NONBLOCK);
}

ChildProcess::~ChildProcess() {
  if (!poll_exit()) {
    signal(SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(output_);
}

std::optional<ExitStatus> ChildProcess::poll_exit() {
  int status = 0;
  if (!status_ && waitpid(pid_, &status, WNOHANG) == pid_) {
    status_ = ExitStatus{WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status)};
  }
  return status_;
}

void ChildProcess::signal(int number) const {
  if (!status_) {
    kill(pid_, number);
  }
}

std::filesystem::path find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::filesystem::path candidate = std::filesystem::path(folder.empty() ? "." : folder) / name;
    if (access(candidate.c_str(), X_OK) == 0 && std::filesystem::is_regular_file(candidate)) {
      return candidate;
    }
  }
  return {};
}

std::filesystem::path own_program() {
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe");
  const std::filesystem::path of_process = "/proc/" + std::to_string(getpid()) + "/exe";
  return std::filesystem::exists(program) ? program : of_process;
}

}  // namespace longship
