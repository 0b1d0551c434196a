#pragma once

#include <filesystem>

namespace longship {

/// Two private folders (mode 0700) of one job: for sockets and the launcher's files, and for shared memory. Removed
/// with all that is in them.
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
  std::filesystem::path files_;
  std::filesystem::path shared_memory_;
};

}  // namespace longship
