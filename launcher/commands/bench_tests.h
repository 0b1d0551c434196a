#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launcher/bench/run_bench.h"
#include "launcher/options/engine_flags.h"

namespace CLI {
class App;
}

namespace longship {

/// What `bench run` and `bench scale` measure, and how they print it.
struct BenchTestFlags {
  EngineFlags engine;
  std::vector<int64_t> prompts = {512};
  std::vector<int64_t> generations = {128};
  std::vector<int64_t> depths = {0};
  std::vector<int64_t> streams = {1};  ///< Together.
  int repetitions = 5;
  std::string format = "md";

  /// Fills in the default model and a context that holds the tests. Errors: kUsage if there is nothing to measure.
  void resolve();
  RunBenchOptions options() const;
};

void add_bench_test_flags(CLI::App& command, BenchTestFlags& flags);
/// -npl, of `bench run`.
void add_streams_flag(CLI::App& command, BenchTestFlags& flags);

/// -r and -o of every bench.
void add_bench_output_flags(CLI::App& command, int& repetitions, std::string& format);

/// Says on a terminal what runs now; an empty text removes that.
void show_bench_progress(const std::string& what);

}  // namespace longship
