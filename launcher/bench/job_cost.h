#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/schedule/rank_report.h"

namespace longship {

/// One row of `longship bench run`: a prompt of `prompt` tokens, or `generate` tokens one after the other, behind
/// `depth` tokens that are in the key/value cache already.
struct RunTest {
  int64_t prompt = 0;
  int64_t generate = 0;
  int64_t depth = 0;

  /// As llama-bench names it: "pp512", "tg128", "tg128 @ d4096".
  std::string name() const;
  int64_t context_tokens() const { return depth + std::max<int64_t>(1, prompt) + generate + 1; }
};

/// What the ranks of a job have and what a test needs of them, from their reports.
class JobCost {
 public:
  /// `chunk_tokens`: tokens of a step of the engine.
  JobCost(std::vector<RankReport> reports, int64_t chunk_tokens);

  double read_bytes_per_s() const { return read_bytes_per_s_; }  ///< Of all ranks together.
  double ops_per_s() const { return ops_per_s_; }
  int64_t weight_bytes() const { return weight_bytes_; }

  /// Bytes that all ranks read in a test: the weights once a step, each key once a step.
  double bytes(const RunTest& test) const;
  double ops(const RunTest& test) const;
  /// Seconds that a test takes at least, with `communication` seconds of it spent so: the ranks of a stage at their
  /// rooflines, stages one after the other for each token, or filled like a pipeline by the chunks of a prompt.
  double least_seconds(const RunTest& test, double communication) const;

 private:
  int64_t step_tokens(const RunTest& test) const;
  int64_t steps(const RunTest& test) const;
  double bytes_of(const StageCost& cost, const RunTest& test) const;

  std::vector<RankReport> ranks_;
  int64_t chunk_tokens_;
  double read_bytes_per_s_ = 0;
  double ops_per_s_ = 0;
  int64_t weight_bytes_ = 0;
};

}  // namespace longship
