#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "comm/transport.h"

namespace longship {

/// Which rank of this host has ended or stands still, for the leader of a job that a launcher started: the launcher
/// ends every rank after the first and says why only later, and knows nothing of one that stands still. Any thread may
/// ask.
class RankWatch {
 public:
  RankWatch() = default;
  ~RankWatch();
  RankWatch(const RankWatch&) = delete;
  RankWatch& operator=(const RankWatch&) = delete;

  /// Learns the processes of all ranks, which call it together. Errors: kRank.
  void meet(Transport& transport);
  /// "rank 2 (process 4711)", if one has ended by now.
  std::optional<std::string> lost() const;
  /// From now on a thread of its own calls `stuck` with the name of a rank that has been stopped for a second. Once.
  void guard(std::function<void(const std::string& rank)> stuck);

 private:
  struct Peer {
    int rank = 0;
    int process = 0;
    int descriptor = -1;  ///< Readable once the process has ended.
    int stopped = 0;      ///< Looks in a row that found it stopped.
  };

  void look_until_destroyed(const std::function<void(const std::string& rank)>& stuck);
  std::optional<std::string> stuck_rank();

  mutable std::mutex mutex_;
  std::vector<Peer> peers_;
  std::condition_variable destroyed_;
  bool done_ = false;
  std::thread thread_;
};

}  // namespace longship
