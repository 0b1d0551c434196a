#pragma once

#include <string>
#include <vector>

#include "core/json.h"
#include "launcher/bench/table.h"

namespace longship {

/// A mesh to measure for strong scaling, and how it grows: "tp" or "pp".
struct ScalePoint {
  std::string mode;
  int ranks = 1;
};

/// Every rank count in each mode ("tp", "pp" or "both"), once each where there is one rank only.
std::vector<ScalePoint> scale_points(const std::string& mode, const std::vector<int>& ranks);

/// Rows of run_benchmarks() on growing meshes, as rows of `bench scale`: each gets "mode", "ranks", "speedup" over the
/// fewest ranks of the same mode and test, and "efficiency", the speed-up by the growth in ranks. A row of one rank
/// stands in both modes.
Json::Array scale_rows(const std::vector<ScalePoint>& points, const std::vector<Json::Array>& results);

const std::vector<TableColumn>& scale_columns();

/// A plot of the speed-ups over the ranks, a line for each mode and test, and the ideal one.
std::string scale_svg(const Json::Array& rows, const std::string& title);

}  // namespace longship
