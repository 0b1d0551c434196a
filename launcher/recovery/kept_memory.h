#pragma once

#include <string>
#include <vector>

#include "launcher/job/child_process.h"
#include "launcher/options/engine_options.h"

namespace longship {

/// Memory of the ranks of a job that outlives them: it belongs to the process that starts them again, and is gone with
/// it, however it ends.
class KeptMemory {
 public:
  /// Where the system gives none, ranks keep nothing.
  explicit KeptMemory(int ranks);
  ~KeptMemory();
  KeptMemory(const KeptMemory&) = delete;
  KeptMemory& operator=(const KeptMemory&) = delete;

  /// For the environment of the ranks, by which each finds its files.
  ChildProcess::Variable variable() const;
  /// What the ranks have left is not to be trusted, or one of them may still write to it: the next ranks find nothing.
  void drop();

 private:
  void make();
  void close_all();

  int ranks_;
  std::string name_;        ///< Of the files, unique: a process of the same number may run on another host.
  std::vector<int> files_;  ///< kFilesOfRank of each rank, then the leader's account of the keys and values; or empty.
};

/// The files of this rank, by its environment.
KeptFiles kept_files(int rank);

}  // namespace longship
