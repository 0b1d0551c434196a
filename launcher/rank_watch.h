#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "comm/transport.h"

namespace longship {

/// Which rank of this host has ended, for the leader of a job that a launcher started: the launcher then ends every
/// rank and says why only later. Any thread may ask.
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

 private:
  struct Peer {
    int rank = 0;
    int process = 0;
    int descriptor = -1;  ///< Readable once the process has ended.
  };

  mutable std::mutex mutex_;
  std::vector<Peer> peers_;
};

}  // namespace longship
