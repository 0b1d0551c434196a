// Logits are equal bit for bit however the work is laid out over ranks that are threads of this process. By default a
// cover of all pairs of choices; with LONGSHIP_TEST_LONG the full product.
#include <gtest/gtest.h>

#include <set>

#include "tests/invariance/workload.h"

namespace longship {
namespace {

using testing::Layout;
using testing::Workload;

const std::vector<int> kTp = {1, 2, 3, 4, 6, 8};
const std::vector<int> kPp = {1, 2, 3};
const std::vector<int> kThreads = {1, 2};
const std::vector<int64_t> kChunks = {512, 48, 7};
const std::vector<int> kBatches = {1, 5};

std::vector<Layout> full_product() {
  std::vector<Layout> layouts;
  for (const int tp : kTp) {
    for (const int pp : kPp) {
      for (const int threads : kThreads) {
        for (const int64_t chunk : kChunks) {
          for (const int batch : kBatches) {
            layouts.push_back({tp, pp, threads, chunk, batch});
          }
        }
      }
    }
  }
  return layouts;
}

// The pairs of choices that a layout covers.
std::set<std::string> pairs(const Layout& layout) {
  const std::string choices[] = {"tp" + std::to_string(layout.tp), "pp" + std::to_string(layout.pp),
                                 "t" + std::to_string(layout.threads), "c" + std::to_string(layout.chunk),
                                 "b" + std::to_string(layout.batch)};
  std::set<std::string> result;
  for (std::size_t i = 0; i < std::size(choices); ++i) {
    for (std::size_t j = i + 1; j < std::size(choices); ++j) {
      result.insert(choices[i] + choices[j]);
    }
  }
  return result;
}

// Greedy: always the layout that covers most new pairs.
std::vector<Layout> pairwise_cover() {
  const std::vector<Layout> all = full_product();
  std::set<std::string> open;
  for (const Layout& layout : all) {
    open.merge(pairs(layout));
  }
  std::vector<Layout> cover;
  while (!open.empty()) {
    std::size_t most = 0;
    const Layout* best = nullptr;
    for (const Layout& layout : all) {
      std::size_t covered = 0;
      for (const std::string& pair : pairs(layout)) {
        covered += open.count(pair);
      }
      if (covered > most) {
        most = covered;
        best = &layout;
      }
    }
    for (const std::string& pair : pairs(*best)) {
      open.erase(pair);
    }
    cover.push_back(*best);
  }
  return cover;
}

// On a device, whose emulation is slow.
std::vector<Layout> layouts_of_device() {
  return {{.tp = 4, .chunk = 48, .batch = 1}, {.tp = 2, .pp = 2, .chunk = 7}};
}

class Invariance : public ::testing::TestWithParam<bool> {};

TEST_P(Invariance, LogitsAreBitEqualOverLayouts) {
  const bool exact = GetParam();
  const bool all = std::getenv("LONGSHIP_TEST_LONG") != nullptr;
  const std::vector<Layout> layouts =
      all ? full_product() : (testing::test_device().empty() ? pairwise_cover() : layouts_of_device());
  for (const Workload& workload : testing::workloads()) {
    const auto baseline = testing::run_workload(workload, {}, exact, testing::run_on_threads);
    ASSERT_FALSE(baseline.empty() || baseline[0].logits.empty());
    const bool large = workload.name == "default";
    std::size_t index = 0;
    for (const Layout& layout : layouts) {
      // A model of real size runs every fourth layout of the cover.
      const bool skips = large && std::getenv("LONGSHIP_TEST_LONG") == nullptr && index++ % 4 != 0;
      if (layout.pp > workload.layers || skips) {
        continue;
      }
      const auto result = testing::run_workload(workload, layout, exact, testing::run_on_threads);
      EXPECT_EQ(testing::difference(baseline, result), "") << workload.name << " " << layout.name();
    }
  }
  if (testing::cached_default_model().empty()) {
    std::printf("the default model is not in the cache (scripts/fetch-model), so it was left out\n");
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, Invariance, ::testing::Bool(),
                         [](const ::testing::TestParamInfo<bool>& mode) { return mode.param ? "exact" : "default"; });

TEST(EveryRankCount, WorksForEveryFixture) {
  for (const Workload& workload : testing::workloads()) {
    if (workload.name == "default" && std::getenv("LONGSHIP_TEST_LONG") == nullptr) {
      continue;
    }
    const auto baseline = testing::run_workload(workload, {}, false, testing::run_on_threads);
    for (int tp = 1; tp <= 8; ++tp) {
      const auto result = testing::run_workload(workload, {.tp = tp, .pp = 1}, false, testing::run_on_threads);
      EXPECT_EQ(testing::difference(baseline, result), "") << workload.name << " tp " << tp;
    }
    for (int pp = 2; pp <= std::min<int64_t>(workload.layers, 8); ++pp) {
      const auto result = testing::run_workload(workload, {.tp = 1, .pp = pp}, false, testing::run_on_threads);
      EXPECT_EQ(testing::difference(baseline, result), "") << workload.name << " pp " << pp;
    }
  }
}

}  // namespace
}  // namespace longship
