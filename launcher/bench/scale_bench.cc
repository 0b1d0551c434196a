#include "launcher/bench/scale_bench.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>

namespace longship {

namespace {

std::vector<std::string> modes_of(const std::string& mode) {
  return mode == "both" ? std::vector<std::string>{"tp", "pp"} : std::vector<std::string>{mode};
}

using ResultsOfTest = std::vector<const RunResult*>;  // one of each round

ResultsOfTest results_of(const RoundResults& rounds, std::size_t test) {
  ResultsOfTest results;
  for (const std::vector<RunResult>& round : rounds) {
    results.push_back(&round[test]);
  }
  return results;
}

// Whatever made the machine slower in a round did so for all meshes of that round.
double predicted_speed(const ResultsOfTest& bases, const ResultsOfTest& results) {
  std::vector<double> speeds;
  for (std::size_t round = 0; round < results.size(); ++round) {
    const RunResult& base = *bases[round];
    const RunResult& result = *results[round];
    const Overhead overhead = base.cost.overhead(base.test, base.seconds, base.host_s);
    speeds.push_back(static_cast<double>(result.test.tokens()) / result.cost.seconds(result.test, overhead));
  }
  return median(speeds);
}

// Figures are means over the rounds; those of the speed, of all samples. Whole numbers and names are equal in all.
Json row_of_rounds(const ResultsOfTest& rounds) {
  Json row = rounds.front()->row;
  std::vector<double> samples;
  for (const RunResult* round : rounds) {
    for (const Json& sample : round->row.find("samples_ts")->as_array()) {
      samples.push_back(sample.as_double());
    }
  }
  for (const auto& [name, value] : rounds.front()->row.as_object()) {
    if (value.is_double()) {
      double sum = 0;
      for (const RunResult* round : rounds) sum += round->row.find(name)->as_double();
      row.set(name, sum / static_cast<double>(rounds.size()));
    }
  }
  set_speed(samples, row);
  return row;
}

double predicted(const Json& row) {
  return row.find("predicted_ts")->as_double();
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

Json::Array scale_rows(const std::vector<ScalePoint>& points, const std::vector<RoundResults>& results) {
  struct Base {
    ResultsOfTest results;
    double speed;
    int ranks;
  };
  std::map<std::pair<std::string, std::string>, Base> bases;  // by mode and test
  Json::Array rows;
  for (std::size_t i = 0; i < points.size(); ++i) {
    for (std::size_t test = 0; test < results[i].front().size(); ++test) {
      const ResultsOfTest rounds = results_of(results[i], test);
      const Json measured = row_of_rounds(rounds);
      const double speed = measured.find("avg_ts")->as_double();
      const auto key = std::pair(points[i].mode, rounds.front()->test.name());
      const Base base = bases.try_emplace(key, Base{rounds, speed, points[i].ranks}).first->second;
      Json row;
      row.set("mode", points[i].mode);
      row.set("ranks", points[i].ranks);
      for (const auto& [name, value] : measured.as_object()) {
        row.set(name, value);
      }
      row.set("predicted_ts", predicted_speed(base.results, rounds));
      row.set("speedup", speed / base.speed);
      row.set("efficiency", speed / base.speed * base.ranks / points[i].ranks);
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

Json scale_advice(const Json::Array& rows) {
  Json advice;
  for (const auto& [what, kind] : {std::pair("prefill", "n_prompt"), std::pair("decode", "n_gen")}) {
    const Json* best = nullptr;
    for (const Json& row : rows) {
      const bool fits = best == nullptr ? row.find(kind)->as_int() > 0 : *row.find("test") == *best->find("test");
      if (fits && (best == nullptr || predicted(row) > predicted(*best))) best = &row;
    }
    if (best == nullptr) {
      continue;
    }
    Json mesh;
    for (const char* key : {"test", "mode", "ranks", "tp", "pp", "predicted_ts"}) {
      mesh.set(key, *best->find(key));
    }
    advice.set(what, mesh);
  }
  return advice;
}

std::string advice_line(const Json& advice) {
  std::string text;
  for (const auto& [what, mesh] : advice.as_object()) {
    std::array<char, 32> speed{};
    std::snprintf(speed.data(), speed.size(), "%.1f", predicted(mesh));
    text += (text.empty() ? "advised: " : "; ") + std::string("-tp ") + std::to_string(mesh.find("tp")->as_int()) +
            " -pp " + std::to_string(mesh.find("pp")->as_int()) + " for " + mesh.find("test")->as_string() + " (" +
            speed.data() + " t/s predicted)";
  }
  return text + "\n";
}

const std::vector<TableColumn>& scale_columns() {
  static const std::vector<TableColumn> kColumns = {
      {"mode", "mode"},
      {"ranks", "ranks"},
      {"n_threads", "threads"},
      {"test", "test"},
      {"avg_ts", "t/s", 2, 1, "stddev_ts"},
      {"predicted_ts", "predicted t/s", 2},
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
