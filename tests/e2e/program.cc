#include "tests/e2e/program.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <thread>

#include "tests/support/data_path.h"

namespace longship {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::chrono::milliseconds kPoll(5);

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

[[noreturn]] void become(const std::vector<std::string>& words, const std::string& folder,
                         const Program::Environment& environment) {
  for (const auto& [name, value] : environment) {
    setenv(name.c_str(), value.c_str(), 1);
  }
  dup2(open((folder + "/in").c_str(), O_RDONLY), STDIN_FILENO);
  dup2(open((folder + "/out").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), STDOUT_FILENO);
  dup2(open((folder + "/err").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), STDERR_FILENO);
  std::vector<char*> argv;
  for (const std::string& word : words) {
    argv.push_back(const_cast<char*>(word.c_str()));
  }
  argv.push_back(nullptr);
  execvp(argv.front(), argv.data());
  _exit(126);
}

// Parent and environment of every process of this user.
std::map<pid_t, pid_t> parents() {
  std::map<pid_t, pid_t> result;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) {
      continue;
    }
    const std::string stat = read_file(entry.path() / "stat");
    const auto after_name = stat.rfind(')');
    if (after_name != std::string::npos && stat.size() > after_name + 4) {
      result[std::stoi(name)] = std::atoi(stat.c_str() + after_name + 4);
    }
  }
  return result;
}

// As the launcher numbers it; a job of one rank has none.
int rank_of(pid_t process) {
  if (const std::string number = variable_of(process, "OMPI_COMM_WORLD_RANK"); !number.empty()) {
    return std::atoi(number.c_str());
  }
  const std::string words = read_file("/proc/" + std::to_string(process) + "/cmdline");
  return words.find(std::string("\0rank\0", 6)) == words.find('\0') && !words.empty() ? 0 : -1;
}

bool descends_from(const std::map<pid_t, pid_t>& parent_of, pid_t process, pid_t ancestor) {
  for (auto found = parent_of.find(process); found != parent_of.end(); found = parent_of.find(found->second)) {
    if (found->second == ancestor) return true;
  }
  return false;
}

}  // namespace

namespace {

std::set<std::string> longship_files() {
  std::set<std::string> names;
  for (const char* folder : {"/dev/shm", "/tmp"}) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().filename().native().starts_with("longship-")) names.insert(entry.path());
    }
  }
  return names;
}

// What was there before the latest program began is not its.
std::set<std::string>& files_before() {
  static std::set<std::string> files;
  return files;
}

}  // namespace

Program::Program(const std::vector<std::string>& words, const std::string& input, const Environment& environment)
    : started_(Clock::now()) {
  files_before() = longship_files();
  std::string name = (fs::path(testing::TempDir()) / "e2e-XXXXXX").native();
  folder_ = mkdtemp(name.data());
  std::ofstream(folder_ + "/in") << input;
  pid_ = fork();
  if (pid_ == 0) {
    become(words, folder_, environment);
  }
}

Program::~Program() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  fs::remove_all(folder_);
}

Outcome Program::wait(std::chrono::seconds limit) {
  int status = 0;
  const auto deadline = Clock::now() + limit;
  while (waitpid(pid_, &status, WNOHANG) == 0) {
    if (Clock::now() > deadline) {
      ADD_FAILURE() << "the program did not end; its standard error: " << read_file(folder_ + "/err");
      kill(pid_, SIGKILL);
      waitpid(pid_, &status, 0);
      break;
    }
    std::this_thread::sleep_for(kPoll);
  }
  pid_ = -1;
  return {.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status),
          .out = read_file(folder_ + "/out"),
          .err = read_file(folder_ + "/err"),
          .seconds = std::chrono::duration<double>(Clock::now() - started_).count()};
}

std::string Program::out_so_far() const {
  return read_file(folder_ + "/out");
}

std::string Program::err_so_far() const {
  return read_file(folder_ + "/err");
}

bool Program::wait_for_output(std::size_t bytes, std::chrono::seconds limit) const {
  const auto deadline = Clock::now() + limit;
  while (out_so_far().size() < bytes) {
    if (Clock::now() > deadline) {
      return false;
    }
    std::this_thread::sleep_for(kPoll);
  }
  return true;
}

std::string program_path() {
  return LONGSHIP_PROGRAM;
}

std::vector<std::string> longship(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), program_path());
  return arguments;
}

std::vector<std::string> mpirun(int ranks, std::vector<std::string> arguments) {
  const std::vector<std::string> words = {LONGSHIP_MPIRUN, "--quiet", "-n", std::to_string(ranks), LONGSHIP_PROGRAM};
  arguments.insert(arguments.begin(), words.begin(), words.end());
  return arguments;
}

Outcome run(const std::vector<std::string>& words, const std::string& input, const Program::Environment& environment) {
  return Program(words, input, environment).wait();
}

std::string fixture(const std::string& name) {
  return data_path(name);
}

std::vector<pid_t> descendants_of(pid_t parent) {
  std::vector<pid_t> found;
  const auto parent_of = parents();
  for (const auto& [process, its_parent] : parent_of) {
    if (descends_from(parent_of, process, parent)) found.push_back(process);
  }
  return found;
}

std::vector<pid_t> ranks_of(pid_t parent, std::size_t count) {
  const auto deadline = Clock::now() + std::chrono::seconds(20);
  while (Clock::now() < deadline) {
    std::map<int, pid_t> found;
    const auto parent_of = parents();
    for (const auto& [process, its_parent] : parent_of) {
      const int rank = descends_from(parent_of, process, parent) ? rank_of(process) : -1;
      if (rank >= 0) found[rank] = process;
    }
    if (found.size() == count) {
      std::vector<pid_t> result;
      for (const auto& [rank, process] : found) result.push_back(process);
      return result;
    }
    std::this_thread::sleep_for(kPoll);
  }
  return {};
}

std::string variable_of(pid_t process, const std::string& name) {
  const std::string environment = '\0' + read_file("/proc/" + std::to_string(process) + "/environ");
  const std::string start = '\0' + name + "=";
  const auto at = environment.find(start);
  return at == std::string::npos ? "" : environment.c_str() + at + start.size();
}

bool is_running(pid_t process) {
  const std::string stat = read_file("/proc/" + std::to_string(process) + "/stat");
  const auto after_name = stat.rfind(')');
  return after_name != std::string::npos && stat.size() > after_name + 2 && stat[after_name + 2] != 'Z';
}

bool end_within(const std::vector<pid_t>& processes, std::chrono::milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  while (std::any_of(processes.begin(), processes.end(), is_running)) {
    if (Clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

std::vector<std::string> mapped_files(pid_t process, const std::string& text) {
  std::ifstream maps("/proc/" + std::to_string(process) + "/maps");
  std::set<std::string> files;
  for (std::string line; std::getline(maps, line);) {
    if (line.find(text) != std::string::npos) files.insert(line.substr(line.find('/')));
  }
  return {files.begin(), files.end()};
}

std::vector<std::string> leftovers() {
  std::vector<std::string> names;
  for (const std::string& name : longship_files()) {
    if (files_before().count(name) == 0) names.push_back(name);
  }
  return names;
}

}  // namespace longship
