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
  int64_t chunk_tokens = 512;  ///< Tokens of a step of the engine.
};

/// Takes every batch of reports, for a trace.
using ReportSink = std::function<void(const std::vector<RankReport>&)>;
/// Says what runs now.
using BenchProgress = std::function<void(const std::string&)>;

/// Runs the tests one after the other, each once to warm up, and gives their rows. All ranks measure their rooflines
/// together before each test. Errors: kUsage if a test does not fit the engine, kRank if the job is lost.
Json::Array run_benchmarks(Engine& engine, const RunBenchOptions& options, const ReportSink& sink,
                           const BenchProgress& progress);

const std::vector<TableColumn>& run_columns();

}  // namespace longship
