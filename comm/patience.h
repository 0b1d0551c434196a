#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "core/backoff.h"
#include "core/error.h"

namespace longship {

/// The error of a wait for `peer` (a rank of the job) that outlasted its deadline.
inline Error late_peer(std::string_view operation, int peer, Backoff::Clock::duration waited) {
  const double seconds = std::chrono::duration<double>(waited).count();
  std::string time = std::to_string(seconds);
  time.resize(time.find('.') + 2);
  const std::string name = "rank " + std::to_string(peer);
  std::string cause(operation);
  cause.append(" ").append(name).append(": nothing came for ").append(time).append(" s");
  return Error(ErrorKind::kRank, std::move(cause),
               "Check that " + name + " still runs and that its host can be reached.");
}

/// A wait that ends: backs off between looks and throws when it has lasted too long.
class Patience {
 public:
  /// `operation` reads well before "rank 2: ..." and outlives the wait: "recv from".
  Patience(std::string_view operation, std::chrono::milliseconds limit) : operation_(operation), limit_(limit) {}

  /// Called after each look that found nothing from `peer`.
  void pause(int peer) {
    const auto waited = backoff_.pause();
    if (waited > limit_) [[unlikely]] {
      throw late_peer(operation_, peer, waited);
    }
  }

 private:
  std::string_view operation_;
  std::chrono::milliseconds limit_;
  Backoff backoff_;
};

}  // namespace longship
