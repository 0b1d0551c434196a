#pragma once

#include <cstdint>
#include <string>

namespace longship {

enum class Loss : uint8_t {
  kEnded,
  kStopped,   ///< It stands still, by a signal or a debugger.
  kSilent,    ///< Nothing comes from it any more: it stands still, or its host is lost.
  kLauncher,  ///< What started the ranks has ended.
};

/// A rank without which the job cannot go on, or what has started the ranks.
struct LostRank {
  std::string name;  ///< "rank 2 (process 4711)", of another host "rank 2 (process 4711 on node7)";
                     ///< "mpirun (process 4711)".
  Loss how = Loss::kEnded;
  bool said = false;  ///< Another rank says it.
};

}  // namespace longship
