#include "launcher/bench/run_bench.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "core/error.h"
#include "launcher/rank_reports.h"

namespace longship {

namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kSession = 1;
constexpr std::chrono::seconds kOneWait(1);

// What all ranks together have and need.
struct JobCost {
  double read_bytes_per_s = 0;
  double ops_per_s = 0;
  double weight_bytes = 0;
  double ops_per_token = 0;
  double head_ops = 0;
  double kv_bytes_per_key = 0;
  double ops_per_key = 0;

  explicit JobCost(const std::vector<RankReport>& reports) {
    for (const RankReport& report : reports) {
      read_bytes_per_s += report.roofline.read_bytes_per_s;
      ops_per_s += report.roofline.ops_per_s;
      weight_bytes += static_cast<double>(report.cost.weight_bytes);
      ops_per_token += static_cast<double>(report.cost.ops_per_token);
      head_ops += static_cast<double>(report.cost.head_ops);
      kv_bytes_per_key += static_cast<double>(report.cost.kv_bytes_per_key);
      ops_per_key += static_cast<double>(report.cost.ops_per_key);
    }
  }

  /// Bytes that the steps of a test read: the weights once a step, each key once a step.
  double bytes(const RunTest& test, int64_t chunk_tokens) const {
    const int64_t tokens = test.prompt + test.generate;
    const int64_t chunk = test.prompt > 0 ? chunk_tokens : 1;
    double sum = 0;
    for (int64_t begin = 0; begin < tokens; begin += chunk) {
      sum += weight_bytes + kv_bytes_per_key * static_cast<double>(test.depth + std::min(tokens, begin + chunk));
    }
    return sum;
  }

  double ops(const RunTest& test) const {
    const auto tokens = static_cast<double>(test.prompt + test.generate);
    const double keys = tokens * static_cast<double>(test.depth) + tokens * (tokens + 1) / 2;
    const double logit_rows = test.prompt > 0 ? 1 : tokens;
    return tokens * ops_per_token + logit_rows * head_ops + keys * ops_per_key;
  }
};

class RunBench {
 public:
  RunBench(Engine& engine, const RunBenchOptions& options, const ReportSink& sink, const BenchProgress& progress)
      : engine_(engine), options_(options), sink_(sink), progress_(progress), random_(7) {}

  Json run(const RunTest& test) {
    progress_(test.name() + ": warm-up");
    check(test);
    fill_cache(test.depth);
    time(test);
    const JobCost cost(take(ReportKind::kRoofline));
    std::vector<double> samples;
    for (int i = 0; i < options_.repetitions; ++i) {
      progress_(test.name() + ": " + std::to_string(i + 1) + " of " + std::to_string(options_.repetitions));
      samples.push_back(static_cast<double>(test.prompt + test.generate) / time(test));
    }
    const TimeShares shares = time_shares(take(ReportKind::kSpans), engine_.info().tp);
    engine_.end_session(kSession);
    return row(test, samples, cost, shares);
  }

 private:
  void check(const RunTest& test) const {
    if (test.context_tokens() > engine_.info().max_model_len) {
      throw Error(ErrorKind::kUsage,
                  test.name() + " needs a context of " + std::to_string(test.context_tokens()) +
                      " tokens, but there are " + std::to_string(engine_.info().max_model_len),
                  "Choose smaller tests, or a larger --max-model-len.");
    }
  }

  std::vector<RankReport> take(ReportKind kind) {
    std::vector<RankReport> reports = take_reports(engine_, kind);
    sink_(reports);
    return reports;
  }

  int32_t random_token() { return static_cast<int32_t>(random_() % static_cast<uint64_t>(engine_.info().vocab)); }

  void append_random(int64_t count, std::vector<int32_t>& tokens) {
    for (int64_t i = 0; i < count; ++i) {
      tokens.push_back(random_token());
    }
  }

  // The keys and values of `depth` tokens, kept in a session.
  void fill_cache(int64_t depth) {
    prefix_.clear();
    if (depth > 0) {
      append_random(depth, prefix_);
      submit_and_wait(request(prefix_, 1));
    }
  }

  GenerationRequest request(std::vector<int32_t> prompt, int64_t max_tokens) const {
    GenerationRequest request;
    request.prompt = std::move(prompt);
    request.max_tokens = max_tokens;
    request.sampling.temperature = 0;
    request.session = prefix_.empty() ? 0 : kSession;
    return request;
  }

  // Seconds of one run of the test.
  double time(const RunTest& test) {
    std::vector<int32_t> prompt = prefix_;
    // Unlike what the run before left behind the prefix, so that nothing more than the prefix is taken from the cache.
    other_token_ = static_cast<int32_t>((other_token_ + 1) % engine_.info().vocab);
    prompt.push_back(other_token_);
    append_random(std::max<int64_t>(0, test.prompt - 1), prompt);
    GenerationRequest timed = request(std::move(prompt), std::max<int64_t>(1, test.generate));
    const Clock::time_point begin = Clock::now();
    submit_and_wait(std::move(timed));
    return std::chrono::duration<double>(Clock::now() - begin).count();
  }

  void submit_and_wait(GenerationRequest request) {
    const RequestId id = engine_.submit(std::move(request));
    for (;;) {
      const std::optional<EngineEvent> event = engine_.next_event(Clock::now() + kOneWait);
      if (!event || event->request != id || event->kind != EngineEvent::Kind::kFinished) {
        continue;
      }
      if (event->reason == FinishReason::kError) {
        throw Error(ErrorKind::kUsage, event->error, "Choose smaller tests, or a larger --max-model-len.");
      }
      return;
    }
  }

  Json row(const RunTest& test, const std::vector<double>& samples, const JobCost& cost,
           const TimeShares& shares) const {
    double mean = 0;
    for (const double sample : samples) mean += sample / static_cast<double>(samples.size());
    double variance = 0;
    for (const double sample : samples) variance += (sample - mean) * (sample - mean);
    const double spread = samples.size() > 1 ? std::sqrt(variance / static_cast<double>(samples.size() - 1)) : 0.0;
    const double seconds = static_cast<double>(test.prompt + test.generate) / mean;
    Json json;
    json.set("test", test.name());
    json.set("n_prompt", test.prompt);
    json.set("n_gen", test.generate);
    json.set("n_depth", test.depth);
    json.set("tp", engine_.info().tp);
    json.set("pp", engine_.info().pp);
    json.set("n_threads", engine_.info().threads);
    json.set("avg_ts", mean);
    json.set("stddev_ts", spread);
    json.set("samples_ts", Json::Array(samples.begin(), samples.end()));
    json.set("ms_per_token", 1000 / mean);
    json.set("mbu", cost.bytes(test, options_.chunk_tokens) / seconds / cost.read_bytes_per_s);
    json.set("mfu", cost.ops(test) / seconds / cost.ops_per_s);
    json.set("comm_share", shares.communication);
    json.set("wait_share", shares.waiting);
    json.set("read_gbps", cost.read_bytes_per_s * 1e-9);
    json.set("peak_gops", cost.ops_per_s * 1e-9);
    json.set("weight_bytes", static_cast<int64_t>(cost.weight_bytes));
    return json;
  }

  Engine& engine_;
  const RunBenchOptions& options_;
  const ReportSink& sink_;
  const BenchProgress& progress_;
  std::mt19937_64 random_;
  std::vector<int32_t> prefix_;
  int32_t other_token_ = 0;
};

}  // namespace

std::string RunTest::name() const {
  const std::string what = prompt > 0 ? "pp" + std::to_string(prompt) : "tg" + std::to_string(generate);
  return depth > 0 ? what + " @ d" + std::to_string(depth) : what;
}

Json::Array run_benchmarks(Engine& engine, const RunBenchOptions& options, const ReportSink& sink,
                           const BenchProgress& progress) {
  RunBench bench(engine, options, sink, progress);
  Json::Array rows;
  for (const RunTest& test : options.tests) {
    rows.push_back(bench.run(test));
  }
  return rows;
}

const std::vector<TableColumn>& run_columns() {
  static const std::vector<TableColumn> kColumns = {
      {"test", "test"},
      {"tp", "tp"},
      {"pp", "pp"},
      {"n_threads", "threads"},
      {"avg_ts", "t/s", 2, 1, "stddev_ts"},
      {"ms_per_token", "ms/token", 3},
      {"mbu", "MBU %", 1, 100},
      {"mfu", "MFU %", 1, 100},
      {"comm_share", "comm %", 1, 100},
      {"wait_share", "wait %", 1, 100},
      {"read_gbps", "read GB/s", 1},
      {"peak_gops", "peak GOPS", 0},
  };
  return kColumns;
}

}  // namespace longship
