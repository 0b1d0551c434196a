#pragma once

#include <chrono>
#include <string>

namespace longship {

/// The process above this one that started the ranks of this host: Open MPI's mpirun or its daemon, or Slurm's.
class LauncherProcess {
 public:
  /// Finds it by its name among the processes above; there may be none, or one of another name. For Open MPI's the
  /// first rank of a host starts a helper, a process that outlives this one, however that ends: it spares the host what
  /// is then left of Open MPI's grace. Make it before MPI starts.
  LauncherProcess();
  ~LauncherProcess();
  LauncherProcess(const LauncherProcess&) = delete;
  LauncherProcess& operator=(const LauncherProcess&) = delete;

  /// Can be read once it has ended; -1 where none was found.
  int descriptor() const { return descriptor_; }
  bool has_ended() const;
  /// "mpirun (process 4711)".
  const std::string& name() const { return name_; }
  /// Has mpirun killed, if it is still there after `patience`, also if this process has ended. Of other launchers the
  /// one here is not the whole of it: they are left alone, as is an mpirun by all but the first rank of its host.
  void kill_after(std::chrono::milliseconds patience) const;

 private:
  void start_helper();

  int descriptor_ = -1;
  int orders_ = -1;  ///< To the helper, -1 where there is none.
  std::string name_;
  bool is_mpirun_ = false;
};

/// Removes the files in shared memory by which Open MPI connects the ranks of a host, as far as this process maps them:
/// a launcher that has ended, or hangs, leaves them for ever. For the end of a job.
void remove_mapped_segments();

}  // namespace longship
