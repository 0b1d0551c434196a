#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace longship {

struct Outcome {
  int exit_code = -1;  ///< 128 and the signal, if one ended it.
  std::string out;
  std::string err;
  double seconds = 0;
};

/// A process of the program under test, or of mpirun, with standard input from a text and its outputs in files.
class Program {
 public:
  using Environment = std::vector<std::pair<std::string, std::string>>;

  Program(const std::vector<std::string>& words, const std::string& input = "", const Environment& environment = {});
  ~Program();

  pid_t pid() const { return pid_; }
  /// Waits for the end; kills the process and fails the test if it takes longer.
  Outcome wait(std::chrono::seconds limit = std::chrono::seconds(60));
  std::string out_so_far() const;
  std::string err_so_far() const;
  /// Waits until standard output has so many bytes.
  bool wait_for_output(std::size_t bytes, std::chrono::seconds limit = std::chrono::seconds(30)) const;

 private:
  pid_t pid_ = -1;
  std::string folder_;
  std::chrono::steady_clock::time_point started_;
};

/// The program under test.
std::string program_path();

/// longship with these arguments.
std::vector<std::string> longship(std::vector<std::string> arguments);
/// mpirun -n RANKS longship with these arguments.
std::vector<std::string> mpirun(int ranks, std::vector<std::string> arguments);

Outcome run(const std::vector<std::string>& words, const std::string& input = "",
            const Program::Environment& environment = {});

/// A checkpoint of tests/data.
std::string fixture(const std::string& name);

/// Every process below `parent`.
std::vector<pid_t> descendants_of(pid_t parent);
/// Process ids of the ranks that `parent` has started through mpirun, by rank.
std::vector<pid_t> ranks_of(pid_t parent, std::size_t count);
bool is_running(pid_t process);
/// Whether all of `processes` have ended `limit` from now; returns as soon as they have.
bool end_within(const std::vector<pid_t>& processes, std::chrono::milliseconds limit);
/// The value of a variable in the environment that the process began with; empty if it has none.
std::string variable_of(pid_t process, const std::string& name);

/// Files that a process maps, by a text in their paths.
std::vector<std::string> mapped_files(pid_t process, const std::string& text);

/// Names in /dev/shm and the folder of temporary files that belong to jobs of this program.
std::vector<std::string> leftovers();

}  // namespace longship
