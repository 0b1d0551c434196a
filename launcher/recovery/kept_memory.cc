#include "launcher/recovery/kept_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <sstream>
#include <string>

namespace longship {

namespace fs = std::filesystem;

namespace {

// A folder, what the files in it are links to, then their names.
constexpr const char* kVariable = "LONGSHIP_KEPT_MEMORY";
// Keys and values, weights, those of the model that guesses.
constexpr int kFilesOfRank = 3;

std::string unique_name() {
  std::random_device random;
  return "longship-" + std::to_string(random()) + '-' + std::to_string(random());
}

}  // namespace

KeptMemory::KeptMemory(int ranks) : ranks_(ranks), name_(unique_name()) {
  make();
}

KeptMemory::~KeptMemory() {
  close_all();
}

void KeptMemory::make() {
  for (int i = 0; i < kFilesOfRank * ranks_ + 1; ++i) {
    const int file = memfd_create(name_.c_str(), MFD_CLOEXEC);
    if (file < 0) {
      close_all();
      return;
    }
    files_.push_back(file);
  }
}

void KeptMemory::close_all() {
  for (const int file : files_) {
    close(file);
  }
  files_.clear();
}

void KeptMemory::drop() {
  close_all();
  make();
}

ChildProcess::Variable KeptMemory::variable() const {
  std::string value = "/proc/" + std::to_string(getpid()) + "/fd " + name_;
  for (const int file : files_) {
    value += ' ' + std::to_string(file);
  }
  return {kVariable, value};
}

KeptFiles kept_files(int rank) {
  const char* value = std::getenv(kVariable);
  std::istringstream words(value == nullptr ? "" : value);
  fs::path folder;
  std::string target;
  words >> folder >> target;
  std::vector<std::string> names;
  for (std::string name; words >> name;) {
    names.push_back(std::move(name));
  }
  const auto first = static_cast<std::size_t>(std::max(rank, 0)) * kFilesOfRank;
  if (rank < 0 || first + kFilesOfRank >= names.size()) {
    return {};
  }
  std::error_code error;
  if (fs::read_symlink(folder / names[first], error) != "/memfd:" + target + " (deleted)") {
    return {};  // they are on another host
  }
  return {.keys_values = folder / names[first],
          .weights = folder / names[first + 1],
          .draft_weights = folder / names[first + 2],
          .pages = folder / names.back()};
}

}  // namespace longship
