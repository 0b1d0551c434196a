#include "launcher/job/rank_reports.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "launcher/output/trace_file.h"
#include "tests/unit/launcher/fake_engine.h"

namespace longship {
namespace {

RankReport report_of(int rank, int tp, int pp, std::vector<NamedSpan> spans) {
  RankReport report;
  report.rank = rank;
  report.tp = tp;
  report.pp = pp;
  report.spans = std::move(spans);
  return report;
}

TEST(RankReport, SurvivesTheWire) {
  RankReport report = report_of(3, 1, 2, {{"step", SpanKind::kStep, 1, 5, 7}, {"recv", SpanKind::kReceive, 2, 3, 64}});
  report.clock_ns = 99;
  report.roofline = {1e9, 2e9};
  report.stage_roofline = {3e9, 4e9};
  report.traffic = {StepTraffic{1, 0.5, 0.25}, StepTraffic{512, 5, 2.5}};
  report.signal_s = 0.125;
  report.cost.weight_dtype = DType::kQ4_1;
  report.dropped_spans = 4;
  const RankReport copy = RankReport::parse(report.serialize());
  EXPECT_EQ(copy.rank, 3);
  EXPECT_EQ(copy.pp, 2);
  EXPECT_EQ(copy.roofline.ops_per_s, 2e9);
  EXPECT_EQ(copy.stage_roofline.read_bytes_per_s, 3e9);
  EXPECT_EQ(copy.traffic[1].rows, 512);
  EXPECT_EQ(copy.traffic[1].message_s, 2.5);
  EXPECT_EQ(copy.signal_s, 0.125);
  EXPECT_EQ(copy.cost.weight_dtype, DType::kQ4_1);
  EXPECT_EQ(copy.dropped_spans, 4);
  ASSERT_EQ(copy.spans.size(), 2U);
  EXPECT_EQ(copy.spans[1].name, "recv");
  EXPECT_EQ(copy.spans[1].kind, SpanKind::kReceive);
  EXPECT_EQ(copy.spans[1].amount, 64);
}

TEST(RankReport, RefusesWhatIsNone) {
  Bytes frame = report_of(0, 0, 0, {{"step", SpanKind::kStep, 1, 5, 7}}).serialize();
  frame.pop_back();
  EXPECT_THROW(RankReport::parse(frame), Error);
  frame.push_back({});
  frame.push_back({});
  EXPECT_THROW(RankReport::parse(frame), Error);
}

TEST(RankTimes, TheHostsShareIsThatOfTheMiddleStep) {
  const auto step = [](int64_t begin, int64_t end) { return NamedSpan{"step", SpanKind::kStep, begin, end, 1}; };
  EXPECT_EQ(host_share(report_of(0, 0, 0, {step(0, 100)})), 0);
  // Gaps of 10, 2 and, between two requests, 500.
  EXPECT_NEAR(host_share(report_of(0, 0, 0, {step(0, 90), step(100, 190), step(192, 290), step(790, 890)})), 0.1, 1e-9);
}

// The rank that comes last into a collective does not wait.
TEST(RankTimes, TakeAsWaitingWhatTheLastRankDidNotNeed) {
  const std::vector<RankReport> reports = {
      report_of(0, 0, 0, {{"tree_reduce", SpanKind::kCollective, 40, 50, 8}, {"step", SpanKind::kStep, 0, 100, 1}}),
      report_of(1, 1, 0, {{"tree_reduce", SpanKind::kCollective, 20, 50, 8}, {"step", SpanKind::kStep, 0, 100, 1}})};
  const std::vector<RankTime> times = rank_times(reports);
  ASSERT_EQ(times.size(), 2U);
  EXPECT_EQ(times[0].communication, 10);
  EXPECT_EQ(times[0].waiting, 0);
  EXPECT_EQ(times[0].computing(), 90);
  EXPECT_EQ(times[1].communication, 10);
  EXPECT_EQ(times[1].waiting, 20);
}

// A follower that waits for its next plan waits; the leader in between chooses tokens.
TEST(RankTimes, CountGapsBetweenTheStepsOfFollowersAsWaiting) {
  const std::vector<NamedSpan> two_steps = {{"recv", SpanKind::kReceive, 0, 10, 8},
                                            {"step", SpanKind::kStep, 0, 40, 1},
                                            {"step", SpanKind::kStep, 60, 100, 1}};
  EXPECT_EQ(rank_times({report_of(0, 0, 0, two_steps)})[0].waiting, 10);
  EXPECT_EQ(rank_times({report_of(1, 0, 0, two_steps)})[0].waiting, 30);
}

TEST(RankTimes, OfNothingAreNothing) {
  EXPECT_EQ(rank_times({report_of(0, 0, 0, {})})[0].total, 0);
}

TEST(TraceFile, IsAnObjectOfEventsOnTheLeadersClock) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "trace.json";
  FakeEngine engine;
  std::vector<RankReport> reports = take_reports(engine, ReportKind::kSpans);
  reports[1].clock_ns = 1'000'000'000;  // another host, whose clock is a second ahead
  reports[1].spans[0].begin_ns += 1'000'000'000;
  reports[1].spans[0].end_ns += 1'000'000'000;
  reports[5].dropped_spans = 2;
  TraceFile trace(path);
  trace.add(reports);
  trace.finish();
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const Json all = std::get<Json>(parse_json(text));
  const Json::Array& events = all.find("traceEvents")->as_array();
  ASSERT_EQ(events.size(), 13U);
  EXPECT_EQ(events[0].find("args")->find("name")->as_string(), "rank 0 (stage 0, shard 0)");
  EXPECT_EQ(events[7].find("pid")->as_int(), 1);
  EXPECT_DOUBLE_EQ(events[7].find("ts")->as_double(), 0.01);
  EXPECT_DOUBLE_EQ(events[7].find("dur")->as_double(), 0.011);
  EXPECT_EQ(events[7].find("args")->find("tokens")->as_int(), 3);
}

// A mesh that is measured in several rounds is in one place.
TEST(TraceFile, KeepsRanksOfDifferentJobsApart) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "jobs_trace.json";
  const auto report = [](int rank) { return report_of(rank, rank, 0, {{"step", SpanKind::kStep, 0, 1, 1}}); };
  const std::vector<RankReport> one = {report(0)};
  const std::vector<RankReport> two = {report(0), report(1)};
  TraceFile trace(path);
  for (int round = 0; round < 2; ++round) {
    trace.begin_job("-tp 2 -pp 1");
    trace.add(two);
    trace.begin_job("-tp 1 -pp 1");
    trace.add(one);
  }
  trace.finish();
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const Json all = std::get<Json>(parse_json(text));
  std::map<std::string, int> processes;
  std::map<int64_t, int> spans;
  for (const Json& event : all.find("traceEvents")->as_array()) {
    if (event.find("ph")->as_string() == "M") {
      processes[event.find("args")->find("name")->as_string()] = static_cast<int>(event.find("pid")->as_int());
    } else {
      ++spans[event.find("pid")->as_int()];
    }
  }
  EXPECT_EQ(processes, (std::map<std::string, int>{{"-tp 2 -pp 1, rank 0 (stage 0, shard 0)", 0},
                                                   {"-tp 2 -pp 1, rank 1 (stage 0, shard 1)", 1},
                                                   {"-tp 1 -pp 1, rank 0 (stage 0, shard 0)", 2}}));
  EXPECT_EQ(spans, (std::map<int64_t, int>{{0, 2}, {1, 2}, {2, 2}}));
}

TEST(TraceFile, SaysWhereItCannotBeWritten) {
  EXPECT_THROW(TraceFile("/nonexistent/trace.json"), Error);
}

}  // namespace
}  // namespace longship
