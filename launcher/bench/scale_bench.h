#pragma once

#include <string>
#include <vector>

#include "core/json.h"
#include "launcher/bench/run_bench.h"
#include "launcher/bench/table.h"

namespace longship {

/// A mesh to measure for strong scaling, and how it grows: "tp" or "pp".
struct ScalePoint {
  std::string mode;
  int ranks = 1;
};

/// What one mesh gave in each round: the results of all tests, in order.
using RoundResults = std::vector<std::vector<RunResult>>;

/// Every rank count in each mode ("tp", "pp" or "both"), once each where there is one rank only.
std::vector<ScalePoint> scale_points(const std::string& mode, const std::vector<int>& ranks);

/// Rows of run_benchmarks() on growing meshes, in as many rounds each, as rows of `bench scale`, one for each point and
/// test: over all samples of the rounds, other figures as means over the rounds. Each gets "mode", "ranks", "speedup"
/// over the fewest ranks of the same mode and test, "efficiency", the speed-up by the growth in ranks, and
/// "predicted_ts": what the cost model (JobCost) makes of the speed on the fewest ranks in the same round, with the
/// rooflines and links of this mesh; the median over the rounds. A row of one rank stands in both modes.
Json::Array scale_rows(const std::vector<ScalePoint>& points, const std::vector<RoundResults>& results);

/// The mesh that the cost model takes for the fastest: "prefill" and "decode", of the first prompt and the first
/// generation of the rows, each with "test", "mode", "ranks", "tp", "pp" and "predicted_ts".
Json scale_advice(const Json::Array& rows);
/// The same in a line.
std::string advice_line(const Json& advice);

const std::vector<TableColumn>& scale_columns();

/// A plot of the speed-ups over the ranks, a line for each mode and test, and the ideal one.
std::string scale_svg(const Json::Array& rows, const std::string& title);

}  // namespace longship
