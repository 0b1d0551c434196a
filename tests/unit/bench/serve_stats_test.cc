#include "launcher/bench/serve_stats.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace longship {
namespace {

constexpr auto kSuccess = ServeSample::Outcome::kSuccess;

// Two good answers, one that failed and one that was interrupted.
std::vector<ServeSample> samples() {
  return {
      {.outcome = kSuccess,
       .sent_s = 0,
       .first_token_s = 0.1,
       .end_s = 0.5,
       .gaps_s = {0.1, 0.3},
       .prompt_tokens = 10,
       .output_tokens = 3},
      {.outcome = ServeSample::Outcome::kFailure, .error = "refused", .prompt_tokens = 99, .output_tokens = 99},
      {.outcome = kSuccess, .sent_s = 1, .first_token_s = 1.3, .end_s = 1.3, .prompt_tokens = 20, .output_tokens = 1},
      {.outcome = ServeSample::Outcome::kInterrupted, .prompt_tokens = 5, .output_tokens = 5},
  };
}

double number(const Json& row, const char* key) {
  const Json* value = row.find(key);
  return value == nullptr || !value->is_number() ? -1 : value->as_double();
}

TEST(ServeStats, CountsWhatSucceeded) {
  const Json row = serve_row(samples(), 2.0, {});
  EXPECT_EQ(number(row, "completed"), 2);
  EXPECT_EQ(number(row, "failed"), 1);
  EXPECT_EQ(*row.find("first_error"), Json("refused"));
  EXPECT_EQ(number(row, "total_input_tokens"), 30);
  EXPECT_EQ(number(row, "total_output_tokens"), 4);
  EXPECT_EQ(number(row, "request_throughput"), 1);
  EXPECT_EQ(number(row, "output_throughput"), 2);
  EXPECT_EQ(number(row, "total_token_throughput"), 17);
  EXPECT_TRUE(row.find("request_goodput")->is_null());
}

TEST(ServeStats, TimesAreThoseOfTheMetrics) {
  const Json row = serve_row(samples(), 2.0, {.percentiles = {50, 99.5}});
  EXPECT_NEAR(number(row, "mean_ttft_ms"), 200, 1e-9);
  EXPECT_NEAR(number(row, "std_ttft_ms"), 100, 1e-9);
  EXPECT_NEAR(number(row, "p50_ttft_ms"), 200, 1e-9);
  EXPECT_NEAR(number(row, "p99.5_ttft_ms"), 299, 1e-9);
  EXPECT_NEAR(number(row, "mean_tpot_ms"), 200, 1e-9) << "0.4 s for two further tokens; the other answer has none";
  EXPECT_NEAR(number(row, "median_itl_ms"), 200, 1e-9);
  EXPECT_NEAR(number(row, "mean_e2el_ms"), 400, 1e-9);
}

TEST(ServeStats, PeaksAreOfASecondAndOfAMoment) {
  EXPECT_EQ(number(serve_row({}, 0, {}), "max_output_tokens_per_s"), 0);
  EXPECT_EQ(number(serve_row({}, 0, {}), "max_concurrent_requests"), 0);
  const ServeSample first = {
      .outcome = kSuccess, .sent_s = 10, .first_token_s = 10.5, .end_s = 12, .gaps_s = {0.4, 0.2}, .output_tokens = 3};
  ServeSample second = first;
  second.sent_s = 12;
  second.first_token_s = 12.9;
  second.end_s = 13.6;
  const Json apart = serve_row({second, first}, 4, {});
  EXPECT_EQ(number(apart, "max_concurrent_requests"), 1) << "one begins as the other ends";
  EXPECT_EQ(number(apart, "max_output_tokens_per_s"), 2) << "10.5 and 10.9 s, or 13.3 and 13.5 s";
  second.sent_s = 11.9;
  EXPECT_EQ(number(serve_row({second, first}, 4, {}), "max_concurrent_requests"), 2);
  second.outcome = ServeSample::Outcome::kFailure;
  EXPECT_EQ(number(serve_row({second, first}, 4, {}), "max_concurrent_requests"), 1);
}

TEST(ServeStats, NothingSucceededIsNoNumber) {
  const Json row = serve_row({}, 0, {});
  EXPECT_TRUE(row.find("mean_ttft_ms")->is_null());
  EXPECT_TRUE(row.find("p99_e2el_ms")->is_null());
  EXPECT_NE(serve_block(row, {}).find("Mean TTFT (ms):                          -"), std::string::npos);
}

TEST(ServeStats, GoodIsWhatKeepsEveryLimit) {
  const auto good = [](const std::vector<std::string>& limits) {
    return number(serve_row(samples(), 1.0, {.goodput = parse_goodput(limits)}), "request_goodput");
  };
  EXPECT_EQ(good({"ttft:500"}), 2);
  EXPECT_EQ(good({"ttft:200"}), 1);
  EXPECT_EQ(good({"ttft:200", "tpot:100"}), 0);
  EXPECT_EQ(good({"e2el:400"}), 1);
  for (const char* word : {"ttft", "ttft:", "ttft:x", "ttft:-1", "speed:5", ":5", ""}) {
    EXPECT_THROW(parse_goodput({word}), Error) << word;
  }
}

TEST(ServeStats, PercentilesAreInterpolated) {
  EXPECT_EQ(percentile({7}, 99), 7);
  EXPECT_EQ(percentile({1, 2, 3, 4}, 50), 2.5);
  EXPECT_EQ(percentile({1, 2, 3, 4}, 100), 4);
  EXPECT_EQ(percentile({1, 2, 3, 4}, 0), 1);
}

TEST(ServeStats, MetricsAreNamed) {
  EXPECT_EQ(parse_metrics("ttft,e2el"), (std::vector<std::string>{"ttft", "e2el"}));
  EXPECT_THROW(parse_metrics("ttft,"), Error);
  EXPECT_THROW(parse_metrics("speed"), Error);
}

TEST(ServeStats, TheBlockHasTheNamesThatScriptsLookFor) {
  const std::string block = serve_block(serve_row(samples(), 2.0, {}), {.metrics = {"ttft"}});
  EXPECT_EQ(block,
            "============ Serving Benchmark Result ============\n"
            "Successful requests:                     2         \n"
            "Failed requests:                         1         \n"
            "Benchmark duration (s):                  2.00      \n"
            "Total input tokens:                      30        \n"
            "Total generated tokens:                  4         \n"
            "Request throughput (req/s):              1.00      \n"
            "Output token throughput (tok/s):         2.00      \n"
            "Peak output token throughput (tok/s):    3.00      \n"
            "Peak concurrent requests:                1.00      \n"
            "Total token throughput (tok/s):          17.00     \n"
            "---------------Time to First Token----------------\n"
            "Mean TTFT (ms):                          200.00    \n"
            "Median TTFT (ms):                        200.00    \n"
            "P99 TTFT (ms):                           298.00    \n"
            "==================================================\n");
}

}  // namespace
}  // namespace longship
