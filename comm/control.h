#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string_view>

#include "core/bytes.h"
#include "core/error.h"

namespace longship {

using Deadline = std::chrono::steady_clock::time_point;

/// The path from the leader (rank 0) to every other rank: a first-in first-out stream of frames that never
/// blocks the leader, so that several plans can be in flight; and a path back for small news that nobody waits for.
/// One object a rank, used by the thread that drives the rank.
class ControlChannel {
 public:
  virtual ~ControlChannel() = default;

  /// Leader only: queues a frame for every other rank and returns.
  virtual void publish(Bytes frame) = 0;
  /// Other ranks: the next frame, or nothing at the deadline. Spins briefly, then yields, then sleeps, so an
  /// idle rank burns no core. The leader's end of the job throws kRank.
  virtual std::optional<Bytes> receive(Deadline deadline) = 0;
  /// Other ranks: queues a frame for the leader and returns.
  virtual void tell(Bytes frame) = 0;
  /// Leader only: a frame that another rank has told, if one is there; each rank's come in order. Never waits.
  virtual std::optional<Bytes> heard() = 0;
  /// All ranks together, after a phase of start-up: `failure` is this rank's error, or null. If any rank
  /// failed, every rank throws the error of the lowest failing rank, its cause naming that rank (by
  /// "rank N") unless all ranks failed alike.
  virtual void agree(const Error* failure, std::string_view phase) = 0;

  /// Leader only: from now on calls `wake` for ranks of other hosts that may sleep when a frame was sent to them; it
  /// has wake_host() called there. A rank that nothing wakes looks by itself, a little later.
  virtual void wake_others_by(const std::function<void()>& /*wake*/) {}
  /// Ends the sleep of this host's ranks in receive(). Any thread.
  virtual void wake_host() {}
  /// Whether this host's ranks, none of which is the leader, are woken by wake_host(), so that they may sleep long. Any
  /// thread.
  virtual void expect_wakes(bool /*yes*/) {}
};

}  // namespace longship
