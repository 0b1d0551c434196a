#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/support/engine_run.h"
#include "tests/support/fixtures.h"

namespace longship::testing {

/// A model of the invariance tests, and the prompts that it runs.
struct Workload {
  std::string name;
  std::filesystem::path model;
  int64_t vocab = 0;
  int64_t layers = 0;
};

/// The fixtures, one for each weight type and family, and the default model if it is in the cache.
std::vector<Workload> workloads();

/// How a run is laid out: none of it may change a bit.
struct Layout {
  int tp = 1;
  int pp = 1;
  int threads = 1;
  int64_t chunk = 512;  ///< Tokens of a step.
  int batch = 5;        ///< Requests that run together.

  std::string name() const;
};

/// Logits of every prompt position and greedy tokens of five prompts, `batch` at a time. `run` gives the results of
/// some requests.
using RunRequests =
    std::function<std::vector<RequestResult>(const EngineOptions&, const std::vector<GenerationRequest>&)>;
std::vector<RequestResult> run_workload(const Workload& workload, const Layout& layout, bool exact,
                                        const RunRequests& run);

/// Where two runs differ in a bit; empty if nowhere.
std::string difference(const std::vector<RequestResult>& a, const std::vector<RequestResult>& b);

}  // namespace longship::testing
