#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/schedule/rank_report.h"
#include "launcher/bench/run_test.h"

namespace longship {

/// What a test takes beyond what machine and links allow.
struct Overhead {
  double slowdown = 1;               ///< Time of computing, as that at the roofline is 1.
  bool by_ops = false;               ///< Of operations; else of reading.
  double host_s = 0;                 ///< Of the leader between the steps of one stream.
  std::optional<Roofline> measured;  ///< Of a rank, where the slowdown was.
};

/// What the ranks of a job have and what a test needs of them, from their reports: a model of the time that it takes.
///
/// A rank computes a step in the longer of two times: that of reading its weights, and its keys, once, and that of its
/// operations. Ranks that computed slower than that were bound by their cores, not by memory: elsewhere what took that
/// time, the operations of steps of several tokens, else reading, takes as much longer as cores are slower there, and
/// at least what the roofline allows. Its stage then adds up products over its ranks. A stage begins a step when it has
/// done the one before and has the message of the stage before it; the steps of a stream's tokens follow one another,
/// those of a prompt, and of different streams, are in the stages at the same time.
class JobCost {
 public:
  /// `chunk_tokens`: most tokens of a step of the engine.
  JobCost(std::vector<RankReport> reports, int64_t chunk_tokens);

  double read_bytes_per_s() const { return read_bytes_per_s_; }  ///< Of all ranks together.
  double ops_per_s() const { return ops_per_s_; }
  int64_t weight_bytes() const { return weight_bytes_; }

  /// Steps in which the engine runs a test.
  int64_t steps(const RunTest& test) const;
  /// Bytes that all ranks read in a test: the weights once a step, each key once a step.
  double bytes(const RunTest& test) const;
  double ops(const RunTest& test) const;
  /// Seconds that a test takes; without overhead the least that rooflines and links allow.
  double seconds(const RunTest& test, const Overhead& overhead = {}) const;
  /// The overhead with which seconds() gives what was measured. Its slowdown is 0 where communication alone takes that
  /// long.
  Overhead overhead(const RunTest& test, double measured_s, double host_s) const;

 private:
  /// A step of some streams, whose sequences are of one length.
  struct Step {
    int64_t sequences = 1;
    int64_t begin = 0;  ///< Tokens before, of each sequence.
    int64_t rows = 1;   ///< Of each sequence.
    int64_t logit_rows = 1;
    int64_t group = 0;  ///< Of streams, whose steps follow one another.
  };
  using Stage = std::vector<const RankReport*>;

  std::vector<Step> steps_of(const RunTest& test) const;
  std::vector<Step> prompt_steps(const RunTest& test) const;
  std::vector<Step> token_steps(const RunTest& test) const;
  std::vector<Stage> stages() const;
  static double bytes_of(const StageCost& cost, const Step& step);
  static double ops_of(const StageCost& cost, const Step& step);
  static double stage_seconds(const Stage& stage, const Step& step, bool alone, const Overhead& overhead);
  /// Of a rank of the job.
  Roofline usual_roofline() const;
  static double message_seconds(const Stage& stage, const Step& step);
  double signal_seconds() const;

  std::vector<RankReport> ranks_;
  int64_t chunk_tokens_;
  double read_bytes_per_s_ = 0;
  double ops_per_s_ = 0;
  int64_t weight_bytes_ = 0;
};

}  // namespace longship
