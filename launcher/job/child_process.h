#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace longship {

/// How a process ended: its exit code, or 128 and the number of the signal that ended it.
struct ExitStatus {
  int code = 0;
};

/// A child in a session of its own, so that the terminal's signals do not reach it. It reads nothing, its standard
/// output and error arrive at output(), and it gets SIGTERM when the thread that made it ends.
class ChildProcess {
 public:
  using Variable = std::pair<std::string, std::string>;

  /// Runs `program` with `arguments` (without its own name) in this environment, in which `variables` are set and
  /// those named `without` are not. Errors: kRank.
  ChildProcess(const std::filesystem::path& program, const std::vector<std::string>& arguments,
               const std::vector<Variable>& variables, const std::vector<std::string>& without = {});
  /// The process has been reaped or is killed.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// Read end of a pipe, non-blocking.
  int output() const { return output_; }
  /// Its status once it has ended; does not wait. One thread at a time.
  std::optional<ExitStatus> poll_exit();
  void signal(int number) const;

 private:
  pid_t pid_ = -1;
  int output_ = -1;
  std::optional<ExitStatus> status_;
};

/// The program in the folders of PATH; empty if there is none.
std::filesystem::path find_program(const std::string& name);

/// The file of this program; once that was replaced or removed, a path by which this host's processes can still run it
/// for as long as this process lives.
std::filesystem::path own_program();

}  // namespace longship
