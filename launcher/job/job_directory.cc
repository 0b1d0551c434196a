#include "launcher/job/job_directory.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <string>
#include <system_error>
#include <thread>

#include "core/error.h"

namespace longship {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kLongestParent = 40;  // the address of a socket has at most 107 bytes

constexpr const char* kMark = "in-use";

// A folder gets its mark at once.
constexpr std::chrono::minutes kUnmarked(1);

// Pauses before an orphan's folders are removed, and again.
constexpr std::chrono::milliseconds kLooks[] = {std::chrono::milliseconds(0), std::chrono::milliseconds(200),
                                                std::chrono::milliseconds(1000)};

// A file that this process holds from now on; -1 if another holds it, or there is none.
int hold(const fs::path& file, int flags) {
  const int lock = open(file.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
  if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) != 0) {
    close(lock);
    return -1;
  }
  return lock;
}

// What processes left behind that were killed together with all their ranks.
void sweep(const fs::path& parent) {
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(parent, ignored)) {
    const bool ours = entry.path().filename().native().starts_with("longship-") && entry.is_directory(ignored);
    if (const int lock = ours ? hold(entry.path() / kMark, 0) : -1; lock >= 0) {
      fs::remove_all(entry.path(), ignored);
      close(lock);
    } else if (ours && fs::file_time_type::clock::now() - entry.last_write_time(ignored) > kUnmarked) {
      fs::remove(entry.path(), ignored);  // of one that was killed before it held a mark, or after; if it is empty
    }
  }
}

fs::path parent_of_files() {
  const char* set = std::getenv("TMPDIR");
  const std::string folder = set == nullptr ? "" : set;
  return folder.empty() || folder.size() > kLongestParent ? fs::path("/tmp") : fs::path(folder);
}

}  // namespace

fs::path JobDirectory::make(const fs::path& parent) {
  sweep(parent);
  std::string name = (parent / "longship-XXXXXX").native();
  if (mkdtemp(name.data()) == nullptr) {
    return {};
  }
  fs::path folder = name;
  const fs::path mark = folder / kMark;
  locks_.push_back(hold(folder / "new", O_CREAT));
  fs::rename(folder / "new", mark);  // nobody sees it before it is held
  return folder;
}

JobDirectory::JobDirectory() : files_(make(parent_of_files())) {
  if (files_.empty()) {
    throw Error(ErrorKind::kRank, "cannot make a folder for the job: " + std::generic_category().message(errno),
                "Set TMPDIR to a folder that is writable and whose path is short.");
  }
  shared_memory_ = make("/dev/shm");
  if (shared_memory_.empty()) {
    shared_memory_ = files_;
  }
}

JobDirectory::~JobDirectory() {
  remove();
  for (const int lock : locks_) {
    close(lock);
  }
}

void JobDirectory::remove() const {
  std::error_code ignored;
  fs::remove_all(shared_memory_, ignored);
  fs::remove_all(files_, ignored);
}

void remove_when_orphaned(const std::vector<fs::path>& folders) {
  sigset_t told;
  sigemptyset(&told);
  sigaddset(&told, SIGTERM);
  sigprocmask(SIG_BLOCK, &told, nullptr);
  int number = 0;
  sigwait(&told, &number);
  for (const std::chrono::milliseconds pause : kLooks) {
    std::this_thread::sleep_for(pause);
    for (const fs::path& folder : folders) {
      std::error_code ignored;
      fs::remove_all(folder, ignored);
    }
  }
}

}  // namespace longship
