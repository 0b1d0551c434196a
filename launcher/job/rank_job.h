#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "launcher/host/process_handle.h"
#include "launcher/job/child_process.h"
#include "launcher/job/engine_wire.h"
#include "launcher/job/frame_socket.h"
#include "launcher/job/job_directory.h"
#include "launcher/recovery/job_diagnosis.h"

namespace longship {

/// Environment by which the ranks of a job find the process that started it.
inline constexpr const char* kJobSocketVariable = "LONGSHIP_JOB_SOCKET";
inline constexpr const char* kJobSecretVariable = "LONGSHIP_JOB_SECRET";

/// Ranks of this program that mpirun runs as a child; a single one is the child itself. Every rank on this host holds a
/// connection to this process, which tells at once when a rank ends or falls silent, and by which ranks notice the end
/// of this process. Any thread may call.
class RankJob {
 public:
  /// Bytes loaded and to load, summed over the ranks that have said so.
  using ProgressSink = std::function<void(const LoadProgressReport&)>;

  /// Starts `ranks` times `program` with `arguments`. A rank without a sign of life for `silence_limit` is lost, and
  /// one that has not connected ten seconds after another. Errors: kRank, e.g. if there is no mpirun. `variables` are
  /// set in the environment of the ranks.
  RankJob(const std::filesystem::path& program, const std::vector<std::string>& arguments, int ranks,
          const std::vector<ChildProcess::Variable>& variables, std::chrono::milliseconds silence_limit,
          ProgressSink progress);
  /// Kills what still runs and removes everything that the job left behind.
  ~RankJob();

  /// The connection to the leader, once it is there. Errors: why the job ended before, or kRank at the deadline.
  FrameSocket& leader(FrameSocket::Deadline deadline);
  void note_progress(int rank, const LoadProgressReport& report);
  /// Why the job is lost, after its leader's connection has closed; ends what is left of it.
  Error loss();
  /// The same, after `rank` has fallen silent: it is stopped, or stuck in the system.
  Error loss_by_silence(int rank);
  /// Waits until the ranks have ended by themselves, which they were asked to, or kills them at the deadline.
  void finish(FrameSocket::Deadline deadline);
  /// Ends every rank now and removes what the job left behind.
  void kill();
  /// After kill(): no rank writes any more to memory that it shares with this process, and none wrote there by mistake.
  bool left_sound_memory();

 private:
  struct Peer {
    std::unique_ptr<FrameSocket> socket;
    int pid = 0;
    LoadProgressReport progress;
    std::shared_ptr<ProcessHandle> process;
  };

  void monitor();
  void wait_for_news();
  void read_output();
  void accept_peer();
  void end_missing();
  void read_followers();
  void read_follower(int rank, FrameSocket& socket);
  void end_silent(int rank);
  bool wait_until_ended(FrameSocket::Deadline deadline);
  void end_ranks();

  JobDirectory directory_;
  ChildProcess sweeper_;  ///< Removes the directory if this process is killed.
  std::string secret_;
  int ranks_;
  std::chrono::milliseconds silence_limit_;
  ProgressSink progress_;
  FrameSocket listener_;
  std::unique_ptr<ChildProcess> process_;  ///< mpirun, or the only rank.

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int, Peer> peers_;
  FrameSocket::Deadline all_connect_{};  ///< Known once one has.
  LostJob lost_;
  bool ended_ = false;
  bool ranks_ended_ = false;
  bool stop_monitor_ = false;
  int wake_monitor_;  ///< An eventfd.
  std::thread monitor_;
};

}  // namespace longship
