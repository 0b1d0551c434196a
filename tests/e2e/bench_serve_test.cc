// `longship bench serve` against servers of its own and of others.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "core/json.h"
#include "tests/e2e/http_client.h"
#include "tests/e2e/program.h"

namespace longship {
namespace {

const std::string kModel = fixture("gguf-models/llama-Q8_0.gguf");

std::vector<std::string> bench(std::vector<std::string> more) {
  more.insert(more.begin(), {"bench", "serve"});
  return longship(std::move(more));
}

// A server on a free port, until the end of the test.
class RunningServer {
 public:
  explicit RunningServer(std::vector<std::string> more = {}) : program_(words(std::move(more))) {
    const std::string mark = "Ready: http://127.0.0.1:";
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    std::string text;
    while ((text = program_.err_so_far()).find(mark) == std::string::npos &&
           std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    const auto found = text.find(mark);
    EXPECT_NE(found, std::string::npos) << text;
    port_ = found == std::string::npos ? 0 : static_cast<uint16_t>(std::atoi(text.c_str() + found + mark.size()));
  }
  ~RunningServer() {
    kill(program_.pid(), SIGTERM);
    program_.wait();
  }
  std::string port() const { return std::to_string(port_); }
  // The counter of a metric.
  double metric(const std::string& name) const {
    const std::string text = http(port_, "GET", "/metrics").body;
    const auto found = text.find("\n" + name + "{");
    return found == std::string::npos ? -1 : std::atof(text.c_str() + text.find("} ", found) + 2);
  }

 private:
  static std::vector<std::string> words(std::vector<std::string> more) {
    more.insert(more.begin(), {"serve", kModel, "--port", "0", "--kv-cache-memory", "32MiB", "-c", "8192"});
    return longship(std::move(more));
  }

  Program program_;
  uint16_t port_ = 0;
};

Json row_of(const Outcome& outcome) {
  const auto parsed = parse_json(outcome.out);
  EXPECT_TRUE(std::holds_alternative<Json>(parsed)) << outcome.out << outcome.err;
  const Json* all = std::get_if<Json>(&parsed);
  const Json* results = all == nullptr ? nullptr : all->find("results");
  EXPECT_TRUE(all != nullptr && all->find("machine") != nullptr && results != nullptr) << outcome.out;
  return results == nullptr ? Json() : results->as_array().at(0);
}

Json at(const Json& row, const char* key) {
  const Json* value = row.find(key);
  return value == nullptr ? Json("missing") : *value;
}

TEST(BenchServe, StartsAServerForTheRun) {
  const std::string trace = testing::TempDir() + "/bench_serve_trace.json";
  std::filesystem::remove(trace);
  const Outcome outcome = run(bench({kModel,
                                     "-tp",
                                     "2",
                                     "-c",
                                     "512",
                                     "--kv-cache-memory",
                                     "16MiB",
                                     "--num-prompts",
                                     "12",
                                     "--random-input-len",
                                     "20",
                                     "--random-output-len",
                                     "8",
                                     "--random-prefix-len",
                                     "5",
                                     "--ignore-eos",
                                     "--max-concurrency",
                                     "4",
                                     "--trace",
                                     trace,
                                     "-o",
                                     "json"}));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json row = row_of(outcome);
  EXPECT_EQ(at(row, "completed"), Json(12));
  EXPECT_EQ(at(row, "failed"), Json(0));
  EXPECT_EQ(at(row, "total_input_tokens"), Json(12 * 25));
  EXPECT_EQ(at(row, "total_output_tokens"), Json(12 * 8));
  EXPECT_EQ(at(row, "model_id"), Json("llama-Q8_0.gguf"));
  EXPECT_GT(at(row, "mean_e2el_ms").as_double(), at(row, "mean_ttft_ms").as_double());
  std::ifstream traced(trace);
  const std::string events{std::istreambuf_iterator<char>(traced), {}};
  EXPECT_TRUE(std::holds_alternative<Json>(parse_json(events))) << events;
  EXPECT_NE(events.find("\"tree_reduce\""), std::string::npos);
  EXPECT_TRUE(leftovers().empty()) << testing::PrintToString(leftovers());
  const Outcome none = run(bench({"/nowhere/model"}));
  EXPECT_EQ(none.exit_code, 3) << none.err;
}

TEST(BenchServe, LoadsARunningServer) {
  const RunningServer server({"--api-key", "secret"});
  const std::string prompts = std::filesystem::path(testing::TempDir()) / "bench_serve_prompts.jsonl";
  std::ofstream(prompts) << "{\"prompt\": \"Why do ships float?\", \"output_tokens\": 5}\n{\"prompt\": \"Sail!\"}\n";
  const Outcome outcome =
      run(bench({"--port", server.port(), "--api-key", "secret", "--endpoint", "/v1/chat/completions", "--dataset-name",
                 "custom", "--dataset-path", prompts, "--random-output-len", "7", "--ignore-eos", "--request-rate",
                 "50", "--goodput", "e2el:60000", "--metric-percentiles", "50,90"}));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* text : {"= Serving Benchmark Result =", "Successful requests:                     2 ",
                           "Total generated tokens:                  12 ", "Request goodput (req/s):", "P90 TTFT (ms):",
                           "Mean E2EL (ms):", "Request rate configured (RPS):           50.00"}) {
    EXPECT_NE(outcome.out.find(text), std::string::npos) << text << " in\n" << outcome.out;
  }
  const Outcome more = run(bench({"--port", server.port(), "--api-key", "secret", "--dataset-name", "custom",
                                  "--dataset-path", prompts, "--num-prompts", "3"}));
  EXPECT_NE(more.out.find("Successful requests:                     3 "), std::string::npos) << more.out;
  std::filesystem::remove(prompts);
  const Outcome untraced = run(bench({"--port", server.port(), "--trace", "/nowhere/trace.json"}));
  EXPECT_EQ(untraced.exit_code, 2);
  EXPECT_NE(untraced.err.find("longship serve --trace"), std::string::npos) << untraced.err;
  const Outcome no_key = run(bench({"--port", server.port()}));
  EXPECT_EQ(no_key.exit_code, 2);
  EXPECT_NE(no_key.err.find("HTTP 401"), std::string::npos) << no_key.err;
}

TEST(BenchServe, CountsWhatTheServerRefuses) {
  const RunningServer server({"--max-queue", "1"});
  const Outcome some =
      run(bench({"--base-url", "http://127.0.0.1:" + server.port() + "/v1", "--num-prompts", "8", "--random-input-len",
                 "8", "--random-output-len", "200", "--ignore-eos", "-o", "json"}));
  EXPECT_EQ(some.exit_code, 0) << some.err;
  EXPECT_EQ(at(row_of(some), "completed").as_int() + at(row_of(some), "failed").as_int(), 8);
  EXPECT_GE(at(row_of(some), "failed").as_int(), 1);
  EXPECT_EQ(at(row_of(some), "first_error"), Json("HTTP 429: the queue is full"));
  const Outcome all =
      run(bench({"--port", server.port(), "--model", "other", "--num-prompts", "3", "--max-concurrency", "1"}));
  EXPECT_EQ(all.exit_code, 1);
  EXPECT_NE(all.err.find("does not exist here"), std::string::npos) << all.err;
}

TEST(BenchServe, PrintsWhatIsThereWhenItIsInterrupted) {
  const RunningServer server;
  Program program(bench({"--port", server.port(), "--num-prompts", "500", "--random-input-len", "4",
                         "--random-output-len", "400", "--ignore-eos", "--max-concurrency", "2"}));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (server.metric("longship:generation_tokens_total") < 2000 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  kill(program.pid(), SIGINT);
  const Outcome outcome = program.wait();
  EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
  EXPECT_NE(outcome.out.find("Successful requests:"), std::string::npos) << outcome.out;
  EXPECT_EQ(outcome.out.find("Successful requests:                     0 "), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("Failed requests:                         0 "), std::string::npos) << outcome.out;
}

TEST(BenchServe, SaysWhatItCannotDo) {
  const Outcome nobody = run(bench({"--port", "1"}));
  EXPECT_EQ(nobody.exit_code, 2);
  EXPECT_NE(nobody.err.find("cannot be reached"), std::string::npos) << nobody.err;
  EXPECT_EQ(run(bench({"--base-url", "https://127.0.0.1"})).exit_code, 2);
  EXPECT_EQ(run(bench({"--port", "1", "-tp", "2"})).exit_code, 2);
  EXPECT_EQ(run(bench({kModel, "--goodput", "speed:3"})).exit_code, 2);
  EXPECT_EQ(run(mpirun(2, {"bench", "serve", kModel})).exit_code, 2);
}

}  // namespace
}  // namespace longship
