#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "comm/transport.h"

namespace longship {

/// A rank without which the job cannot go on.
struct LostRank {
  std::string name;      ///< "rank 2 (process 4711)".
  bool stopped = false;  ///< It stands still, by a signal or a debugger; else it has ended.
};

/// Which rank of this host has ended or stands still, for the leader of a job that a launcher started: the launcher
/// ends every rank after the first, says why only later or not at all, and knows nothing of one that stands still.
class RankWatch {
 public:
  RankWatch() = default;
  ~RankWatch();
  RankWatch(const RankWatch&) = delete;
  RankWatch& operator=(const RankWatch&) = delete;

  /// Learns the processes of all ranks, which call it together. Errors: kRank.
  void meet(Transport& transport);
  /// One that has ended by now, unless somebody was told of one before. Any thread.
  std::optional<LostRank> take_lost();
  /// Waits for one to end, or to have been stopped for a second, or until the eventfd `end` can be read. One
  /// thread, that began after meet().
  std::optional<LostRank> wait(int end);

 private:
  struct Peer {
    int rank = 0;
    int process = 0;
    int descriptor = -1;  ///< Readable once the process has ended.
    int stopped = 0;      ///< Looks in a row that found it stopped.
  };

  std::optional<LostRank> take(const Peer& peer, bool stopped);
  std::optional<LostRank> take_stuck();

  std::mutex mutex_;  ///< A signal may come while meet() still works.
  std::vector<Peer> peers_;
  std::atomic<bool> told_ = false;
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
