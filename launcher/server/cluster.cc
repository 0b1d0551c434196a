#include "launcher/server/cluster.h"

#include <algorithm>
#include <limits>

namespace longship {

namespace {

// What rates are means over, where ranks say something so often.
constexpr int64_t kWindowNs = 2'500'000'000;
// A rank that has said nothing for so long does nothing, unless one step takes as long.
constexpr double kQuietSeconds = 2;

double share(int64_t part, int64_t whole) {
  return whole <= 0 ? 0 : std::clamp(static_cast<double>(part) / static_cast<double>(whole), 0.0, 1.0);
}

double per_second(int64_t count, int64_t ns) {
  return ns <= 0 ? 0 : static_cast<double>(count) * 1e9 / static_cast<double>(ns);
}

SpanTotals operator-(const SpanTotals& a, const SpanTotals& b) {
  return {a.count - b.count, a.ns - b.ns, a.amount - b.amount};
}

double per_step(int64_t ns, const SpanTotals& steps) {
  return steps.count == 0 ? 0 : static_cast<double>(ns) / static_cast<double>(steps.count);
}

// What a rank did between the ends of its history.
struct Work {
  SpanTotals steps;
  SpanTotals collectives;
  int64_t moving_ns = 0;  // of them
  SpanTotals sends;
  SpanTotals receives;
  int64_t time_ns = 0;
};

Work work_between(const RankActivity& first, const RankActivity& last) {
  return {.steps = last.steps - first.steps,
          .collectives = last.collectives - first.collectives,
          .moving_ns = last.moving_ns - first.moving_ns,
          .sends = last.sends - first.sends,
          .receives = last.receives - first.receives,
          .time_ns = last.clock_ns - first.clock_ns};
}

}  // namespace

void Cluster::observe(const std::vector<RankActivity>& activity, const Yield& yield, Clock::time_point now) {
  for (const RankActivity& said : activity) {
    History& history = ranks_[said.rank];
    const bool same = !history.empty() && history.back().activity.pid == said.pid &&
                      history.back().activity.host == said.host &&
                      history.back().activity.steps.count <= said.steps.count;
    if (!same) {  // started again
      history.clear();
    }
    history.push_back({said, yield, now});
    while (history.size() > 2 && history.front().activity.clock_ns < said.clock_ns - kWindowNs) {
      history.pop_front();
    }
  }
}

bool Cluster::is_recent(const History& history, Clock::time_point now) {
  const SpanTotals steps = history.back().activity.steps - history.front().activity.steps;
  const double quiet_s = std::max(kQuietSeconds, 2 * per_step(steps.ns, steps) / 1e9);
  return std::chrono::duration<double>(now - history.back().when).count() < quiet_s;
}

std::vector<RankRate> Cluster::rates(Clock::time_point now) const {
  std::vector<RankRate> rates;
  std::vector<Work> works;
  std::map<int, double> moving_ns;  // of a step's collectives, by stage
  for (const auto& [rank, history] : ranks_) {
    const RankActivity& last = history.back().activity;
    const Work work = work_between(history.front().activity, last);
    RankRate rate;
    rate.activity = last;
    rate.known = work.steps.count > 0;
    rate.step_s = per_step(work.steps.ns, work.steps) / 1e9;
    rate.busy = is_recent(history, now) ? share(work.steps.ns, work.time_ns) : 0;
    if (rate.known) {
      const auto [entry, added] = moving_ns.try_emplace(last.pp, std::numeric_limits<double>::max());
      entry->second = std::min(entry->second, per_step(work.moving_ns, work.steps));
    }
    rates.push_back(std::move(rate));
    works.push_back(work);
  }
  for (std::size_t i = 0; i < rates.size(); ++i) {
    if (rates[i].known) {
      const Work& work = works[i];
      const double of_stage_ns = moving_ns[rates[i].activity.pp] * static_cast<double>(work.steps.count);
      const auto moved_ns = std::min(work.collectives.ns, static_cast<int64_t>(of_stage_ns));
      rates[i].comm_share = share(work.sends.ns + moved_ns, work.steps.ns);
      rates[i].wait_share = share(work.receives.ns + work.collectives.ns - moved_ns, work.steps.ns);
    }
  }
  return rates;
}

// All ranks run all tokens: any one may be asked.
Cluster::TokenRates Cluster::token_rates(Clock::time_point now) const {
  if (ranks_.empty() || !is_recent(ranks_.begin()->second, now)) {
    return {};
  }
  const History& history = ranks_.begin()->second;
  const Work work = work_between(history.front().activity, history.back().activity);
  const Yield& first = history.front().yield;
  const Yield& last = history.back().yield;
  const int64_t generated = last.generated - first.generated;
  const int64_t prompt = work.steps.amount - generated - (last.wrong_guesses - first.wrong_guesses);
  return {.prompt = per_second(std::max<int64_t>(0, prompt), work.time_ns),
          .generation = per_second(generated, work.time_ns)};
}

std::optional<int> slowest_rank(const std::vector<RankRate>& rates) {
  const RankRate* slowest = nullptr;
  int64_t known = 0;
  for (const RankRate& rate : rates) {
    if (rate.known) {
      ++known;
      slowest = slowest == nullptr || rate.compute_s() > slowest->compute_s() ? &rate : slowest;
    }
  }
  return known < 2 ? std::nullopt : std::optional(slowest->activity.rank);
}

}  // namespace longship
