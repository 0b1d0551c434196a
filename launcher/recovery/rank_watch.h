#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "comm/transport.h"
#include "launcher/host/launcher_process.h"
#include "launcher/recovery/host_watch.h"
#include "launcher/recovery/lost_rank.h"

namespace longship {

/// Which rank has ended or stands still, for the leader of a job that a launcher started: the launcher ends every rank
/// after the first, says why only later or not at all, and knows nothing of one that stands still, nor MPI of a host
/// that the network has lost. The first rank of each other host watches the ranks there for the leader, and the leader;
/// the others of a host watch the first one, so that none is left behind. The first rank of a host watches what started
/// its ranks, too.
class RankWatch {
 public:
  RankWatch() = default;
  ~RankWatch();
  RankWatch(const RankWatch&) = delete;
  RankWatch& operator=(const RankWatch&) = delete;

  /// Learns the processes of all ranks, which call it together. From then on the leader's frames wake ranks of other
  /// hosts, as long as wait() runs there, within the life of `transport`. Errors: kRank.
  void meet(Transport& transport);
  /// One of this host that has ended by now, unless somebody was told of one before. Any thread.
  std::optional<LostRank> take_lost();
  /// Waits for a loss that ends the job: in the leader, of a rank that has ended, was stopped for a second, or is
  /// silent for two; in the first rank of another host, of the leader; else of the first rank of this host; in
  /// the second of the leader's host also because it was stopped; in the first of a host also of the launcher. Nothing
  /// once the eventfd `end` can be read: ranks now end as they should. One thread, that began after meet().
  std::optional<LostRank> wait(int end);
  /// Tells the leader, or its first ranks of other hosts, that this rank ends the job and that the cause has been said.
  /// Any thread.
  void say_ending();
  /// The launcher ends this job: nobody needs to be told that the leader has ended. Any thread.
  void expect_end() { expects_end_ = true; }
  /// Waits until somebody has called that; false if nobody does within `limit`.
  bool end_expected_within(std::chrono::milliseconds limit) const;
  /// Kills the ranks of this host that this one watches. Any thread.
  void kill_watched() const;
  const LauncherProcess& launcher() const { return launcher_; }

 private:
  struct Peer {
    int rank = 0;
    int process = 0;
    int descriptor = -1;  ///< Readable once the process has ended.
    int stopped = 0;      ///< Looks in a row that found it stopped.
    bool told = false;    ///< Somebody, that it has ended.
  };
  struct Facts;

  static Facts gather(Transport& transport);
  void watch_hosts(Transport& transport, const Facts& facts);
  void say(HostWord word);
  std::optional<LostRank> take(const Peer& peer, Loss how);
  Peer* lost_peer();
  Peer* stuck_peer();
  std::optional<LostRank> news_of(Peer& peer, Loss how);
  std::optional<LostRank> look_here(bool for_stuck);
  std::optional<LostRank> look_elsewhere();
  std::chrono::milliseconds patience() const;

  std::mutex mutex_;  ///< A signal may come at any time.
  std::vector<Peer> peers_;
  std::unique_ptr<HostWatch> hosts_;
  LauncherProcess launcher_;
  bool leads_ = false;
  bool watches_all_ = false;        ///< Of this host.
  bool speaks_for_leader_ = false;  ///< If that stands still.
  std::atomic<bool> told_ = false;
  std::atomic<bool> expects_end_ = false;
};

/// A thread that tells once of a rank that `watch` finds lost, until this is destroyed: before ranks end as they
/// should.
class RankGuard {
 public:
  RankGuard(RankWatch& watch, std::function<void(const LostRank&)> tell);
  ~RankGuard();
  RankGuard(const RankGuard&) = delete;
  RankGuard& operator=(const RankGuard&) = delete;

 private:
  int end_;
  std::thread thread_;
};

}  // namespace longship
