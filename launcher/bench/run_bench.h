#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/json.h"
#include "engine/engine.h"
#include "launcher/bench/job_cost.h"
#include "launcher/bench/table.h"

namespace longship {

struct RunBenchOptions {
  std::vector<RunTest> tests;
  int repetitions = 5;
};

/// Takes every batch of reports, for a trace.
using ReportSink = std::function<void(const std::vector<RankReport>&)>;
/// Says what runs now.
using BenchProgress = std::function<void(const std::string&)>;

/// A test as it went.
struct RunResult {
  RunTest test;
  Json row;
  double seconds = 0;  ///< Middle repetition's.
  double host_s = 0;   ///< Of the leader, beside each step.
  JobCost cost;        ///< As measured right after.
};

/// Runs the tests one after the other, each once to warm up. All ranks measure together what machine and links allow
/// right after each test. Errors: kUsage if a test does not fit the engine, kRank if the job is lost.
std::vector<RunResult> run_benchmarks(Engine& engine, const RunBenchOptions& options, const ReportSink& sink,
                                      const BenchProgress& progress);

/// Writes the speeds of the repetitions of a test into its row: "avg_ts", "stddev_ts", "samples_ts", "ms_per_token".
void set_speed(const std::vector<double>& samples, Json& row);

double median(std::vector<double> samples);

const std::vector<TableColumn>& run_columns();

}  // namespace longship
