#include "launcher/server/layout.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <set>
#include <utility>

namespace longship {

namespace {

double megabytes(int64_t bytes) {
  return static_cast<double>(bytes) / 1e6;
}

// "rank 3" and "ranks 0, 2, 3".
std::string names(const std::vector<RankActivity>& ranks) {
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  for (const RankActivity& rank : ranks) {
    text += (&rank == &ranks.front() ? "" : ", ") + std::to_string(rank.rank);
  }
  return text;
}

// "ipc", or what the ranks have where they differ: "ipc, self".
std::string different(const std::vector<RankActivity>& ranks, std::string RankActivity::*name) {
  std::set<std::string> all;
  for (const RankActivity& rank : ranks) all.insert(rank.*name);
  std::string text;
  for (const std::string& one : all) text += (text.empty() ? "" : ", ") + one;
  return text;
}

std::string line_of(const std::string& host, int stage, const std::vector<RankActivity>& ranks) {
  const auto most = [&](int64_t RankActivity::*bytes) {
    int64_t largest = 0;
    for (const RankActivity& rank : ranks) largest = std::max(largest, rank.*bytes);
    return megabytes(largest);
  };
  const auto all = [&](std::string RankActivity::*name) { return different(ranks, name); };
  const Range& layers = ranks.front().layers;
  std::array<char, 160> text{};
  std::snprintf(text.data(), text.size(),
                ": stage %d, layers %lld..%lld, weights %.1f MB and keys and values %.1f MB a rank", stage,
                static_cast<long long>(layers.begin), static_cast<long long>(std::max(layers.begin, layers.end) - 1),
                most(&RankActivity::weights_bytes), most(&RankActivity::kv_bytes));
  return host + ": " + names(ranks) + text.data() + ", on " + all(&RankActivity::device) + ", " +
         all(&RankActivity::tp_wire) + " within the stage, " + all(&RankActivity::pp_wire) + " between stages";
}

}  // namespace

std::vector<std::string> layout_lines(const std::vector<RankActivity>& ranks) {
  std::map<std::pair<std::string, int>, std::vector<RankActivity>> groups;
  for (const RankActivity& rank : ranks) {
    groups[{rank.host, rank.pp}].push_back(rank);
  }
  std::vector<std::string> lines;
  for (const auto& [place, group] : groups) {
    lines.push_back(line_of(place.first, place.second, group));
  }
  return lines;
}

}  // namespace longship
