#include "launcher/bench/scale_bench.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace longship {
namespace {

// Of ranks that read 100 bytes in as many seconds as the mesh has: shards of one stage, or stages of one rank.
RunResult result(const RunTest& test, double speed, int tp = 1, int pp = 1, double message_s = 0,
                 double read_bytes_per_s = 100) {
  std::vector<RankReport> reports;
  for (int rank = 0; rank < tp * pp; ++rank) {
    RankReport report;
    report.rank = rank;
    report.pp = pp - 1 - rank / tp;
    report.roofline = report.stage_roofline = {.read_bytes_per_s = read_bytes_per_s, .ops_per_s = 1e9};
    report.cost.weight_bytes = 100 / (tp * pp);
    report.traffic = {StepTraffic{1, 0, message_s}, StepTraffic{512, 0, message_s}};
    reports.push_back(report);
  }
  Json row;
  row.set("test", test.name());
  row.set("n_prompt", test.prompt);
  row.set("n_gen", test.generate);
  row.set("tp", tp);
  row.set("pp", pp);
  set_speed({speed}, row);
  row.set("read_gbps", speed);
  return {.test = test,
          .row = row,
          .seconds = static_cast<double>(test.tokens()) / speed,
          .cost = JobCost(std::move(reports), 512)};
}

const RunTest kPrompt{.prompt = 8};
const RunTest kTokens{.generate = 8};

TEST(ScaleBench, MeasuresEveryCountOnceInEachMode) {
  const std::vector<ScalePoint> points = scale_points("both", {4, 1, 4});
  ASSERT_EQ(points.size(), 4U);
  EXPECT_EQ(points[0].mode, "tp");
  EXPECT_EQ(points[0].ranks, 1);
  EXPECT_EQ(points[1].ranks, 4);
  EXPECT_EQ(points[2].mode, "pp");
}

TEST(ScaleBench, ComparesWithTheFewestRanksOfTheModeAndTest) {
  const std::vector<ScalePoint> points = scale_points("tp", {2, 8});
  const Json::Array rows =
      scale_rows(points, {{{result(kPrompt, 100), result(kTokens, 10)}}, {{result(kPrompt, 300), result(kTokens, 5)}}});
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_DOUBLE_EQ(rows[0].find("speedup")->as_double(), 1);
  EXPECT_DOUBLE_EQ(rows[2].find("speedup")->as_double(), 3);
  EXPECT_DOUBLE_EQ(rows[2].find("efficiency")->as_double(), 0.75);
  EXPECT_DOUBLE_EQ(rows[3].find("speedup")->as_double(), 0.5);
  EXPECT_EQ(rows[3].find("ranks")->as_int(), 8);
  EXPECT_EQ(rows[3].find("test")->as_string(), "tg8");
}

// One rank takes twice what its roofline allows; so are the others expected to.
TEST(ScaleBench, CarriesTheSpeedOnTheFewestRanksOver) {
  const Json::Array rows = scale_rows({{"tp", 1}, {"tp", 2}, {"pp", 1}, {"pp", 2}}, {{{result(kTokens, 0.5)}},
                                                                                     {{result(kTokens, 7, 2, 1)}},
                                                                                     {{result(kTokens, 0.5)}},
                                                                                     {{result(kTokens, 7, 1, 2, 2)}}});
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_NEAR(rows[0].find("predicted_ts")->as_double(), 0.5, 1e-9);
  EXPECT_NEAR(rows[1].find("predicted_ts")->as_double(), 1, 1e-9);
  EXPECT_NEAR(rows[3].find("predicted_ts")->as_double(), 1 / (2.0 + 2), 1e-9);
  const Json advice = scale_advice(rows);
  EXPECT_EQ(advice.find("prefill"), nullptr);
  const Json* decode = advice.find("decode");
  ASSERT_NE(decode, nullptr);
  EXPECT_EQ(decode->find("mode")->as_string(), "tp");
  EXPECT_EQ(decode->find("tp")->as_int(), 2);
  EXPECT_EQ(advice_line(advice), "advised: -tp 2 -pp 1 for tg8 (1.0 t/s predicted)\n");
}

// What bounded one rank's core does not slow down two that share the bandwidth, until memory bounds them.
TEST(ScaleBench, CountsSharedBandwidthOnce) {
  const auto predicted = [](double bandwidth) {
    const Json::Array rows =
        scale_rows({{"tp", 1}, {"tp", 2}}, {{{result(kTokens, 0.5)}}, {{result(kTokens, 1, 2, 1, 0, bandwidth)}}});
    return rows[1].find("predicted_ts")->as_double();
  };
  EXPECT_NEAR(predicted(100), 1, 1e-9);
  EXPECT_NEAR(predicted(60), 1, 1e-9);
  EXPECT_NEAR(predicted(25), 0.5, 1e-9);
}

// In the second round the machine was twice as fast, in the third one rank was disturbed.
TEST(ScaleBench, PredictsFromTheSameRound) {
  const Json::Array rows = scale_rows(
      {{"tp", 1}, {"tp", 2}}, {{{result(kTokens, 0.5)}, {result(kTokens, 1)}, {result(kTokens, 0.1)}},
                               {{result(kTokens, 1, 2, 1)}, {result(kTokens, 2, 2, 1)}, {result(kTokens, 3, 2, 1)}}});
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_NEAR(rows[1].find("predicted_ts")->as_double(), 1, 1e-9);
  EXPECT_NEAR(rows[1].find("avg_ts")->as_double(), 2, 1e-9);
  EXPECT_NEAR(rows[1].find("stddev_ts")->as_double(), 1, 1e-9);
  EXPECT_NEAR(rows[1].find("read_gbps")->as_double(), 2, 1e-9);
  EXPECT_NEAR(rows[1].find("ms_per_token")->as_double(), 500, 1e-9);
  EXPECT_EQ(rows[1].find("samples_ts")->as_array().size(), 3U);
}

TEST(ScaleBench, AdvisesForTheFirstPromptAndTheFirstGeneration) {
  const RunTest longer{.prompt = 16};
  const Json advice =
      scale_advice(scale_rows({{"tp", 1}}, {{{result(kPrompt, 100), result(longer, 200), result(kTokens, 10)}}}));
  EXPECT_EQ(advice.find("prefill")->find("test")->as_string(), "pp8");
  EXPECT_NEAR(advice.find("prefill")->find("predicted_ts")->as_double(), 100, 1e-6);
  EXPECT_EQ(advice.find("decode")->find("test")->as_string(), "tg8");
}

TEST(ScaleBench, PlotsALineForEachTestAndTheIdealOne) {
  Json::Array rows = scale_rows(scale_points("tp", {1, 2}), {{{result(kTokens, 1)}}, {{result(kTokens, 2)}}});
  for (Json& row : rows) row.set("test", "a<b");
  const std::string svg = scale_svg(rows, "x & y");
  std::size_t lines = 0;
  for (auto at = svg.find("<polyline"); at != std::string::npos; at = svg.find("<polyline", at + 1)) ++lines;
  EXPECT_EQ(lines, 2U);
  EXPECT_NE(svg.find("tp a&lt;b"), std::string::npos);
  EXPECT_NE(svg.find("x &amp; y"), std::string::npos);
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
}

// Values of an attribute of all lines of the plot that begin with `element`.
std::vector<std::string> attributes(const std::string& svg, const std::string& element, const std::string& name) {
  std::vector<std::string> values;
  for (auto at = svg.find(element); at != std::string::npos; at = svg.find(element, at + 1)) {
    const std::string line = svg.substr(at, svg.find('>', at) - at);
    const auto begin = line.find(name + "=\"");
    values.push_back(
        begin == std::string::npos
            ? ""
            : line.substr(begin + name.size() + 2, line.find('"', begin + name.size() + 2) - begin - name.size() - 2));
  }
  return values;
}

// Lines that end close to each other are told apart by name and by look.
TEST(ScaleBench, NamesEveryLineWhereItCanBeRead) {
  Json::Array rows;
  constexpr int kLines = 14;
  for (int line = 0; line < kLines; ++line) {
    for (const int ranks : {1, 4}) {
      Json row;
      row.set("mode", line % 2 == 0 ? "tp" : "pp");
      row.set("test", "pp" + std::to_string(line));
      row.set("ranks", ranks);
      row.set("speedup", ranks == 1 ? 1.0 : 0.5 + line * 0.01);
      rows.push_back(std::move(row));
    }
  }
  const std::string svg = scale_svg(rows, "title");
  std::vector<double> heights;
  for (const std::string& y : attributes(svg, "<text x=\"540.0\"", "y")) heights.push_back(std::stod(y));
  ASSERT_EQ(heights.size(), kLines + 1U);
  std::ranges::sort(heights);
  for (std::size_t i = 1; i < heights.size(); ++i) {
    EXPECT_GE(heights[i] - heights[i - 1], 13) << i;
  }
  EXPECT_LE(heights.back(), 440);
  const std::vector<std::string> colours = attributes(svg, "<polyline", "stroke");
  const std::vector<std::string> dashes = attributes(svg, "<polyline", "stroke-dasharray");
  std::set<std::pair<std::string, std::string>> looks;
  for (std::size_t i = 0; i < colours.size(); ++i) looks.emplace(colours[i], dashes[i]);
  EXPECT_EQ(looks.size(), kLines + 1U);
}

}  // namespace
}  // namespace longship
