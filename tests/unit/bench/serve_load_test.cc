#include "launcher/bench/serve_load.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <numeric>
#include <set>

#include "core/error.h"

namespace longship {
namespace {

const std::vector<int32_t> kIds = {3, 5, 8, 13, 21, 34, 55};

TEST(ServeLoad, RandomPromptsHaveTheirLengthsAndPrefix) {
  const RandomLoad load{
      .requests = 200, .input_tokens = 40, .output_tokens = 10, .prefix_tokens = 5, .range_ratio = 0.5};
  const std::vector<LoadRequest> requests = random_load(load, kIds);
  ASSERT_EQ(requests.size(), 200U);
  std::set<std::size_t> lengths;
  std::set<int64_t> outputs;
  std::set<std::vector<int32_t>> prompts;
  for (const LoadRequest& request : requests) {
    EXPECT_TRUE(std::equal(request.ids.begin(), request.ids.begin() + 5, requests[0].ids.begin()));
    for (const int32_t id : request.ids) EXPECT_NE(std::find(kIds.begin(), kIds.end(), id), kIds.end());
    lengths.insert(request.ids.size() - 5);
    outputs.insert(request.output_tokens);
    prompts.insert(request.ids);
  }
  EXPECT_GE(*lengths.begin(), 20U);
  EXPECT_LE(*lengths.rbegin(), 60U);
  EXPECT_GT(lengths.size(), 25U);
  EXPECT_GE(*outputs.begin(), 5);
  EXPECT_LE(*outputs.rbegin(), 15);
  EXPECT_EQ(outputs.size(), 11U);
  EXPECT_EQ(prompts.size(), 200U);
}

TEST(ServeLoad, TheSeedDecides) {
  const auto ids = [](uint64_t seed) { return random_load({.requests = 1, .seed = seed}, kIds)[0].ids; };
  EXPECT_EQ(ids(1), ids(1));
  EXPECT_NE(ids(1), ids(2));
  EXPECT_EQ(ids(1).size(), 128U);
  EXPECT_EQ(arrival_seconds(9, 2, 1, 1), arrival_seconds(9, 2, 1, 1));
  EXPECT_NE(arrival_seconds(9, 2, 1, 1), arrival_seconds(9, 2, 1, 2));
}

// Of a Poisson process, gaps deviate as much as their mean; of a gamma distribution of shape k, 1 / sqrt(k) times.
TEST(ServeLoad, ArrivalsHaveTheirRateAndBurstiness) {
  for (const double burstiness : {0.25, 1.0, 16.0}) {
    const std::vector<double> times = arrival_seconds(20001, 4, burstiness, 7);
    EXPECT_EQ(times.front(), 0);
    std::vector<double> gaps;
    for (std::size_t i = 1; i < times.size(); ++i) gaps.push_back(times[i] - times[i - 1]);
    const double mean = times.back() / static_cast<double>(gaps.size());
    double variance = 0;
    for (const double gap : gaps) variance += (gap - mean) * (gap - mean) / static_cast<double>(gaps.size());
    EXPECT_GE(*std::min_element(gaps.begin(), gaps.end()), 0);
    EXPECT_NEAR(mean, 0.25, 0.02) << burstiness;
    EXPECT_NEAR(std::sqrt(variance) / mean, 1 / std::sqrt(burstiness), 0.08 / std::sqrt(burstiness));
  }
  EXPECT_EQ(arrival_seconds(3, std::numeric_limits<double>::infinity(), 1, 0), std::vector<double>(3, 0.0));
}

class DataSet : public testing::Test {
 protected:
  std::vector<LoadRequest> read(const std::string& text, int64_t count = 10, bool again = false) {
    std::ofstream(path_) << text;
    return read_load(path_, count, 7, again);
  }
  std::string refusal(const std::string& text) {
    try {
      read(text);
    } catch (const Error& error) {
      return error.cause();
    }
    return "";
  }
  ~DataSet() override { std::filesystem::remove(path_); }

  std::filesystem::path path_ = std::filesystem::path(testing::TempDir()) / "serve_load_test.jsonl";
};

TEST_F(DataSet, GivesPromptsInTheirOrder) {
  const auto requests =
      read("{\"prompt\": \"a\"}\n\n{\"prompt\": \"b\", \"output_tokens\": 2}\r\n{\"prompt\": \"c\"}\n", 2);
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].text, "a");
  EXPECT_EQ(requests[0].output_tokens, 7);
  EXPECT_EQ(requests[1].output_tokens, 2);
}

TEST_F(DataSet, BeginsAgainWhereMoreAreAskedFor) {
  const std::string lines = "{\"prompt\": \"a\"}\n{\"prompt\": \"b\", \"output_tokens\": 2}\n";
  std::string prompts;
  for (const LoadRequest& request : read(lines, 5, true)) {
    prompts += request.text + std::to_string(request.output_tokens);
  }
  EXPECT_EQ(prompts, "a7b2a7b2a7");
  EXPECT_EQ(read(lines, 5).size(), 2U);
}

TEST_F(DataSet, ErrorsNameTheLine) {
  EXPECT_NE(refusal("{\"prompt\": \"a\"}\n{\"prompt\"").find("line 2"), std::string::npos);
  EXPECT_NE(refusal("\n{\"prompt\": 1}").find("line 2"), std::string::npos);
  EXPECT_NE(refusal("[]").find("line 1"), std::string::npos);
  EXPECT_NE(refusal("{\"prompt\": \"a\", \"output_tokens\": 0}").find("line 1"), std::string::npos);
  EXPECT_NE(refusal("\n\n").find("no prompts"), std::string::npos);
  EXPECT_THROW(read_load("/nowhere/file", 1, 1, false), Error);
}

}  // namespace
}  // namespace longship
