#include "launcher/bench/job_cost.h"

#include <algorithm>
#include <map>

namespace longship {

namespace {

double ops_of(const StageCost& cost, const RunTest& test) {
  const auto tokens = static_cast<double>(test.prompt + test.generate);
  const double keys = tokens * static_cast<double>(test.depth) + tokens * (tokens + 1) / 2;
  const double logit_rows = test.prompt > 0 ? 1 : tokens;
  return tokens * static_cast<double>(cost.ops_per_token) + logit_rows * static_cast<double>(cost.head_ops) +
         keys * static_cast<double>(cost.ops_per_key);
}

}  // namespace

std::string RunTest::name() const {
  const std::string what = prompt > 0 ? "pp" + std::to_string(prompt) : "tg" + std::to_string(generate);
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

int64_t JobCost::step_tokens(const RunTest& test) const {
  return test.prompt > 0 ? std::min(test.prompt, chunk_tokens_) : 1;
}

int64_t JobCost::steps(const RunTest& test) const {
  return (test.prompt + test.generate + step_tokens(test) - 1) / step_tokens(test);
}

double JobCost::bytes_of(const StageCost& cost, const RunTest& test) const {
  const auto count = static_cast<double>(steps(test));
  const double keys = static_cast<double>(test.depth) + static_cast<double>(step_tokens(test)) * (count + 1) / 2;
  return count * (static_cast<double>(cost.weight_bytes) + static_cast<double>(cost.kv_bytes_per_key) * keys);
}

double JobCost::bytes(const RunTest& test) const {
  double sum = 0;
  for (const RankReport& rank : ranks_) {
    sum += bytes_of(rank.cost, test);
  }
  return sum;
}

double JobCost::ops(const RunTest& test) const {
  double sum = 0;
  for (const RankReport& rank : ranks_) {
    sum += ops_of(rank.cost, test);
  }
  return sum;
}

double JobCost::least_seconds(const RunTest& test, double communication) const {
  std::map<int, double> stages;  // seconds of the whole test
  for (const RankReport& rank : ranks_) {
    const double seconds = std::max(bytes_of(rank.cost, test) / rank.roofline.read_bytes_per_s,
                                    ops_of(rank.cost, test) / rank.roofline.ops_per_s);
    stages[rank.pp] = std::max(stages[rank.pp], seconds);
  }
  double all = 0;
  double slowest = 0;
  for (const auto& [stage, seconds] : stages) {
    all += seconds;
    slowest = std::max(slowest, seconds);
  }
  const auto count = static_cast<double>(steps(test));
  return communication + (test.prompt > 0 ? all / count + slowest * (count - 1) / count : all);
}

}  // namespace longship
