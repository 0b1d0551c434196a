#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"

namespace longship {

/// What is known of a job that ended before its work was done.
struct LostJob {
  int ranks = 2;                       ///< A single one runs without mpirun.
  std::string output;                  ///< What mpirun and the ranks wrote.
  std::optional<int> exit_code;        ///< Of mpirun, or the only rank; nothing if it had to be killed.
  std::optional<int> first_lost_rank;  ///< The rank whose connection closed first.
  std::optional<int> silent_rank{};    ///< One that ran no more, and was ended for it.
  std::map<int, int> pids;             ///< Of the ranks that have connected.
};

/// One sentence that names the rank and the cause as exactly as `job` allows, and its exit code.
Error diagnose(const LostJob& job);

/// The ranks were ended from outside: what they left in memory is as good as it was. One that ended by a fault of its
/// own may have written anywhere.
bool ended_from_outside(const LostJob& job);

/// The rank that "mpirun noticed" to have ended on a signal.
struct SignalledRank {
  int rank = 0;
  std::string host;
  int signal = 0;
};
std::optional<SignalledRank> find_signalled_rank(std::string_view output);

}  // namespace longship
