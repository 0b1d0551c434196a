#include "launcher/kept_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>
#include <string>

namespace longship {

namespace {

// A folder, then the names of the files in it.
constexpr const char* kVariable = "LONGSHIP_KEPT_MEMORY";

}  // namespace

KeptMemory::KeptMemory(int ranks) : ranks_(ranks) {
  make();
}

KeptMemory::~KeptMemory() {
  close_all();
}

void KeptMemory::make() {
  for (int i = 0; i <= ranks_; ++i) {
    const int file = memfd_create("longship", MFD_CLOEXEC);
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
  std::string value = "/proc/" + std::to_string(getpid()) + "/fd";
  for (const int file : files_) {
    value += ' ' + std::to_string(file);
  }
  return {kVariable, value};
}

KeptFiles kept_files(int rank) {
  const char* value = std::getenv(kVariable);
  std::istringstream words(value == nullptr ? "" : value);
  std::filesystem::path folder;
  words >> folder;
  std::vector<std::string> names;
  for (std::string name; words >> name;) {
    names.push_back(std::move(name));
  }
  if (rank < 0 || static_cast<std::size_t>(rank) + 1 >= names.size()) {
    return {};
  }
  return {.keys_values = folder / names[static_cast<std::size_t>(rank)], .pages = folder / names.back()};
}

}  // namespace longship
