#include "launcher/bench/scale_bench.h"

#include <algorithm>
#include <map>

namespace longship {

namespace {

std::vector<std::string> modes_of(const std::string& mode) {
  return mode == "both" ? std::vector<std::string>{"tp", "pp"} : std::vector<std::string>{mode};
}

}  // namespace

std::vector<ScalePoint> scale_points(const std::string& mode, const std::vector<int>& ranks) {
  std::vector<int> sorted = ranks;
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  std::vector<ScalePoint> points;
  for (const std::string& one : modes_of(mode)) {
    for (const int count : sorted) {
      points.push_back({one, count});
    }
  }
  return points;
}

Json::Array scale_rows(const std::vector<ScalePoint>& points, const std::vector<Json::Array>& results) {
  struct Base {
    double speed;
    int ranks;
  };
  std::map<std::pair<std::string, std::string>, Base> bases;  // by mode and test
  Json::Array rows;
  for (std::size_t i = 0; i < points.size(); ++i) {
    for (const Json& result : results[i]) {
      const double speed = result.find("avg_ts")->as_double();
      const auto key = std::pair(points[i].mode, result.find("test")->as_string());
      const Base base = bases.try_emplace(key, Base{speed, points[i].ranks}).first->second;
      const double speedup = speed / base.speed;
      Json row;
      row.set("mode", points[i].mode);
      row.set("ranks", points[i].ranks);
      for (const auto& [name, value] : result.as_object()) {
        row.set(name, value);
      }
      row.set("speedup", speedup);
      row.set("efficiency", speedup * base.ranks / points[i].ranks);
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

const std::vector<TableColumn>& scale_columns() {
  static const std::vector<TableColumn> kColumns = {
      {"mode", "mode"},
      {"ranks", "ranks"},
      {"n_threads", "threads"},
      {"test", "test"},
      {"avg_ts", "t/s", 2, 1, "stddev_ts"},
      {"bound_ts", "bound t/s", 1},
      {"speedup", "speed-up", 2},
      {"efficiency", "efficiency %", 1, 100},
      {"comm_share", "comm %", 1, 100},
      {"wait_share", "wait %", 1, 100},
      {"slowest_rank", "slowest rank"},
  };
  return kColumns;
}

}  // namespace longship
