#pragma once

#include <filesystem>
#include <vector>

namespace longship {

/// Two private folders (mode 0700) of one job: for sockets and the launcher's files, and for shared memory. Removed
/// with all that is in them; those of processes that could not do so any more, by remove_when_orphaned() in another
/// process, or by the next job.
class JobDirectory {
 public:
  /// Errors: kRank if no folder can be made.
  JobDirectory();
  ~JobDirectory();
  JobDirectory(const JobDirectory&) = delete;
  JobDirectory& operator=(const JobDirectory&) = delete;

  const std::filesystem::path& files() const { return files_; }
  const std::filesystem::path& shared_memory() const { return shared_memory_; }
  std::filesystem::path socket() const { return files_ / "leader"; }

  void remove() const;

 private:
  /// A new folder that is marked as in use, or an empty path.
  std::filesystem::path make(const std::filesystem::path& parent);

  std::vector<int> locks_;  ///< Marks, held as long as this process lives.
  std::filesystem::path files_;
  std::filesystem::path shared_memory_;
};

/// Waits for SIGTERM, which a ChildProcess gets when the process that made it ends, and then removes the folders of
/// that one's job, which may have had no time to. Ranks that are still ending may make files once more: it looks again.
void remove_when_orphaned(const std::vector<std::filesystem::path>& folders);

}  // namespace longship
