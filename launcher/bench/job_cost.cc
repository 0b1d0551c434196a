#include "launcher/bench/job_cost.h"

#include <algorithm>
#include <map>

#include "engine/schedule/chunk_size.h"

namespace longship {

namespace {

// Of two measured steps of other sizes: a latency, then rows at a rate.
double at_rows(int64_t rows, const std::array<StepTraffic, 2>& traffic, double StepTraffic::*time) {
  const auto& [small, large] = traffic;
  if (large.rows <= small.rows) {
    return small.*time;
  }
  const double per_row = std::max(0.0, large.*time - small.*time) / static_cast<double>(large.rows - small.rows);
  return small.*time + per_row * static_cast<double>(rows - small.rows);
}

double at_roofline(double bytes, double ops, const Roofline& roofline) {
  return std::max(bytes / roofline.read_bytes_per_s, ops / roofline.ops_per_s);
}

}  // namespace

std::string RunTest::name() const {
  std::string what = prompt > 0 ? "pp" + std::to_string(prompt) : "tg" + std::to_string(generate);
  if (streams > 1) what += " x " + std::to_string(streams);
  return depth > 0 ? what + " @ d" + std::to_string(depth) : what;
}

JobCost::JobCost(std::vector<RankReport> reports, int64_t chunk_tokens)
    : ranks_(std::move(reports)), chunk_tokens_(chunk_tokens) {
  for (const RankReport& rank : ranks_) {
    read_bytes_per_s_ += rank.roofline.read_bytes_per_s;
    ops_per_s_ += rank.roofline.ops_per_s;
    weight_bytes_ += rank.cost.weight_bytes;
  }
}

// As the scheduler cuts them; whole prompts together where they fit into a step and stages need not share them.
std::vector<JobCost::Step> JobCost::prompt_steps(const RunTest& test) const {
  const PipelineCost cost = pipeline_cost(static_cast<int>(stages().size()), ranks_.front().cost);
  const int64_t end = test.depth + test.prompt;
  const int64_t together = cost.stages == 1 ? std::max<int64_t>(1, chunk_tokens_ / test.prompt) : 1;
  std::vector<Step> steps;
  for (int64_t first = 0; first < test.streams; first += together) {
    const int64_t sequences = std::min(together, test.streams - first);
    for (int64_t begin = test.depth; begin < end; begin += steps.back().rows) {
      const int64_t rows = chunk_tokens(begin, end, chunk_tokens_, cost);
      const int64_t logit_rows = begin + rows == end ? sequences : 0;
      steps.push_back({.sequences = sequences, .begin = begin, .rows = rows, .logit_rows = logit_rows, .group = first});
    }
  }
  return steps;
}

// The streams in as many groups as there are stages to keep busy.
std::vector<JobCost::Step> JobCost::token_steps(const RunTest& test) const {
  const auto stage_count = static_cast<int64_t>(stages().size());
  const int64_t most = std::max<int64_t>(1, (test.streams + stage_count - 1) / stage_count);
  std::vector<Step> steps;
  for (int64_t token = 0; token < test.generate; ++token) {
    for (int64_t first = 0; first < test.streams; first += most) {
      const int64_t sequences = std::min(most, test.streams - first);
      steps.push_back({.sequences = sequences, .begin = test.depth + token, .logit_rows = sequences, .group = first});
    }
  }
  return steps;
}

std::vector<JobCost::Step> JobCost::steps_of(const RunTest& test) const {
  return test.prompt > 0 ? prompt_steps(test) : token_steps(test);
}

int64_t JobCost::steps(const RunTest& test) const {
  return std::ssize(steps_of(test));
}

std::vector<JobCost::Stage> JobCost::stages() const {
  std::map<int, Stage> stages;
  for (const RankReport& rank : ranks_) {
    stages[rank.pp].push_back(&rank);
  }
  std::vector<Stage> ordered;
  for (auto& [place, stage] : stages) {
    ordered.push_back(std::move(stage));
  }
  return ordered;
}

double JobCost::bytes_of(const StageCost& cost, const Step& step) {
  const auto keys = static_cast<double>(step.sequences * (step.begin + step.rows));
  return static_cast<double>(cost.weight_bytes) + static_cast<double>(cost.kv_bytes_per_key) * keys;
}

double JobCost::ops_of(const StageCost& cost, const Step& step) {
  const auto sequences = static_cast<double>(step.sequences);
  const auto rows = static_cast<double>(step.rows);
  const double keys = rows * static_cast<double>(step.begin) + rows * (rows + 1) / 2;
  return sequences * (rows * static_cast<double>(cost.ops_per_token) + keys * static_cast<double>(cost.ops_per_key)) +
         static_cast<double>(step.logit_rows * cost.head_ops);
}

double JobCost::bytes(const RunTest& test) const {
  double sum = 0;
  for (const Step& step : steps_of(test)) {
    for (const RankReport& rank : ranks_) sum += bytes_of(rank.cost, step);
  }
  return sum;
}

double JobCost::ops(const RunTest& test) const {
  double sum = 0;
  for (const Step& step : steps_of(test)) {
    for (const RankReport& rank : ranks_) sum += ops_of(rank.cost, step);
  }
  return sum;
}

double JobCost::stage_seconds(const Stage& stage, const Step& step, bool alone, const Overhead& overhead) {
  double most = 0;
  for (const RankReport* rank : stage) {
    const Roofline& roofline = alone ? rank->stage_roofline : rank->roofline;
    const double bytes = bytes_of(rank->cost, step);
    const double ops = ops_of(rank->cost, step);
    double computing = at_roofline(bytes, ops, roofline);
    if (overhead.measured && overhead.slowdown > 1) {
      const double work =
          overhead.by_ops ? ops / overhead.measured->ops_per_s : bytes / overhead.measured->read_bytes_per_s;
      const double of_core = overhead.slowdown * work * overhead.measured->ops_per_s / roofline.ops_per_s;
      computing = std::max(computing, of_core);
    } else {
      computing *= overhead.slowdown;
    }
    most = std::max(most, computing + at_rows(step.sequences * step.rows, rank->traffic, &StepTraffic::sums_s));
  }
  return most;
}

Roofline JobCost::usual_roofline() const {
  const auto ranks = static_cast<double>(ranks_.size());
  return {.read_bytes_per_s = read_bytes_per_s_ / ranks, .ops_per_s = ops_per_s_ / ranks};
}

double JobCost::message_seconds(const Stage& stage, const Step& step) {
  double most = 0;
  for (const RankReport* rank : stage) {
    most = std::max(most, at_rows(step.sequences * step.rows, rank->traffic, &StepTraffic::message_s));
  }
  return most;
}

// Of a token: the plan reaches the other ranks, and, where the vocabulary is spread, their part of the choice the
// leader.
double JobCost::signal_seconds() const {
  const bool spread = ranks_.size() > stages().size();
  return ranks_.front().signal_s * (spread ? 2 : 1);
}

double JobCost::seconds(const RunTest& test, const Overhead& overhead) const {
  const std::vector<Stage> stages = this->stages();
  const std::vector<Step> steps = steps_of(test);
  const bool alone = stages.size() == 1 || (test.generate > 0 ? test.streams == 1 : steps.size() == 1);
  const double between = overhead.host_s + signal_seconds();
  std::vector<double> free_at(stages.size(), 0.0);
  std::map<int64_t, double> done_at;  // by group of streams
  double end = 0;
  for (const Step& step : steps) {
    double at = test.generate > 0 ? done_at[step.group] + between : 0;
    for (std::size_t i = 0; i < stages.size(); ++i) {
      at = std::max(at, free_at[i]) + stage_seconds(stages[i], step, alone, overhead);
      free_at[i] = at;
      at += i + 1 < stages.size() ? message_seconds(stages[i], step) : 0;
    }
    done_at[step.group] = at;
    end = std::max(end, at);
  }
  return end;
}

Overhead JobCost::overhead(const RunTest& test, double measured_s, double host_s) const {
  constexpr int kHalvings = 50;
  double low = 0;
  double high = 1;
  Overhead found{.host_s = host_s, .measured = usual_roofline()};
  found.by_ops = test.prompt > 0 || test.streams > 1;
  const auto with = [&](double slowdown) {
    found.slowdown = slowdown;
    return seconds(test, found);
  };
  while (with(high) < measured_s && high < 1e6) {
    low = high;
    high *= 2;
  }
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = (low + high) / 2;
    (with(middle) < measured_s ? low : high) = middle;
  }
  found.slowdown = low;
  return found;
}

}  // namespace longship
