#include "launcher/bench/scale_bench.h"

#include <gtest/gtest.h>

namespace longship {
namespace {

Json result(const char* test, double speed) {
  Json row;
  row.set("test", test);
  row.set("avg_ts", speed);
  return row;
}

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
      scale_rows(points, {{result("pp8", 100), result("tg8", 10)}, {result("pp8", 300), result("tg8", 5)}});
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_DOUBLE_EQ(rows[0].find("speedup")->as_double(), 1);
  EXPECT_DOUBLE_EQ(rows[2].find("speedup")->as_double(), 3);
  EXPECT_DOUBLE_EQ(rows[2].find("efficiency")->as_double(), 0.75);
  EXPECT_DOUBLE_EQ(rows[3].find("speedup")->as_double(), 0.5);
  EXPECT_EQ(rows[3].find("ranks")->as_int(), 8);
  EXPECT_EQ(rows[3].find("test")->as_string(), "tg8");
}

TEST(ScaleBench, PlotsALineForEachTestAndTheIdealOne) {
  const Json::Array rows = scale_rows(scale_points("tp", {1, 2}), {{result("a<b", 1)}, {result("a<b", 2)}});
  const std::string svg = scale_svg(rows, "x & y");
  std::size_t lines = 0;
  for (auto at = svg.find("<polyline"); at != std::string::npos; at = svg.find("<polyline", at + 1)) ++lines;
  EXPECT_EQ(lines, 2U);
  EXPECT_NE(svg.find("tp a&lt;b"), std::string::npos);
  EXPECT_NE(svg.find("x &amp; y"), std::string::npos);
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
}

}  // namespace
}  // namespace longship
