#include "launcher/job_directory.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

#include "core/error.h"

namespace longship {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kLongestParent = 40;  // the address of a socket has at most 107 bytes

fs::path make_folder(const fs::path& parent) {
  std::string name = (parent / "longship-XXXXXX").native();
  return mkdtemp(name.data()) == nullptr ? fs::path() : fs::path(name);
}

fs::path parent_of_files() {
  const char* set = std::getenv("TMPDIR");
  const std::string folder = set == nullptr ? "" : set;
  return folder.empty() || folder.size() > kLongestParent ? fs::path("/tmp") : fs::path(folder);
}

}  // namespace

JobDirectory::JobDirectory() : files_(make_folder(parent_of_files())) {
  if (files_.empty()) {
    throw Error(ErrorKind::kRank, "cannot make a folder for the job: " + std::generic_category().message(errno),
                "Set TMPDIR to a folder that is writable and whose path is short.");
  }
  shared_memory_ = make_folder("/dev/shm");
  if (shared_memory_.empty()) {
    shared_memory_ = files_;
  }
}

JobDirectory::~JobDirectory() {
  remove();
}

void JobDirectory::remove() const {
  std::error_code ignored;
  fs::remove_all(shared_memory_, ignored);
  fs::remove_all(files_, ignored);
}

}  // namespace longship
