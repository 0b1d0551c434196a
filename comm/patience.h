#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "core/backoff.h"
#include "core/error.h"

namespace longship {

/// A wait for another rank that ends: backs off between looks and knows when it has lasted too long.
class Patience {
 public:
  /// `operation` reads well before "rank 2: ..." and outlives the wait: "recv from".
  Patience(std::string_view operation, std::chrono::milliseconds limit, const Backoff& backoff = Backoff())
      : operation_(operation), limit_(limit), backoff_(backoff) {}

  /// Called after each look that found nothing. False: the deadline has passed.
  bool pause() {
    waited_ = backoff_.pause();
    return waited_ <= limit_;
  }

  /// The error of having waited in vain for `peer` (a rank of the job).
  Error error(int peer) const {
    std::string seconds = std::to_string(std::chrono::duration<double>(waited_).count());
    seconds.resize(seconds.find('.') + 2);
    const std::string name = "rank " + std::to_string(peer);
    std::string cause(operation_);
    cause.append(" ").append(name).append(": nothing came for ").append(seconds).append(" s");
    return Error(ErrorKind::kRank, std::move(cause),
                 "Check that " + name + " still runs and that its host can be reached.");
  }

 private:
  std::string_view operation_;
  std::chrono::milliseconds limit_;
  Backoff backoff_;
  Backoff::Clock::duration waited_ = Backoff::Clock::duration::zero();
};

}  // namespace longship
