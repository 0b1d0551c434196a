#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "engine/schedule/rank_activity.h"

namespace longship {

/// What a rank does at present: means over its last seconds of work.
struct RankRate {
  RankActivity activity;  ///< As it last said.
  double busy = 0;        ///< Part of the time in which it ran steps; 0 where it said nothing lately.
  bool known = false;     ///< Whether it has run a step since it is observed, so that there is what follows.
  double step_s = 0;      ///< Time of a step.
  double comm_share = 0;  ///< Part of its steps in which data moved,
  double wait_share = 0;  ///< and in which it waited for other ranks; the rest it computed.

  double compute_s() const { return step_s * (1 - comm_share - wait_share); }
};

/// What the ranks of an engine do, from what they say of themselves. Used by one thread.
class Cluster {
 public:
  using Clock = std::chrono::steady_clock;

  /// Tokens that came of steps so far.
  struct Yield {
    int64_t generated = 0;
    int64_t wrong_guesses = 0;
  };
  /// `yield`: what came before this.
  void observe(const std::vector<RankActivity>& activity, const Yield& yield, Clock::time_point now);

  /// Of every rank, in their order. Of the collectives of a stage, what its ranks take without waiting for late ones
  /// (QuickestCollectives; the least that any of them says) is communication of all, the rest waiting; receiving from
  /// another stage is waiting, sending communication.
  std::vector<RankRate> rates(Clock::time_point now) const;
  /// Tokens a second that the steps ran: those of prompts (again, after a loss of ranks), and generated ones.
  struct TokenRates {
    double prompt = 0;
    double generation = 0;
  };
  TokenRates token_rates(Clock::time_point now) const;

 private:
  struct Said {
    RankActivity activity;
    Yield yield;
    Clock::time_point when;
  };
  using History = std::deque<Said>;

  static bool is_recent(const History& history, Clock::time_point now);

  std::map<int, History> ranks_;
};

/// The rank that the others wait for: that which computes longest for a step. Nothing where no two can be compared.
std::optional<int> slowest_rank(const std::vector<RankRate>& rates);

}  // namespace longship
