#pragma once

#include <cstdint>
#include <string>

namespace longship {

enum class Loss : uint8_t {
  kEnded,
  kStopped,  ///< It stands still, by a signal or a debugger.
  kSilent,   ///< Nothing comes from it any more: it stands still, or its host is lost.
};

/// A rank without which the job cannot go on.
struct LostRank {
  std::string name;  ///< "rank 2 (process 4711)", of another host "rank 2 (process 4711 on node7)".
  Loss how = Loss::kEnded;
  bool said = false;  ///< The leader has said it already.
};

}  // namespace longship
