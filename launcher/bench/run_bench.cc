#include "launcher/bench/run_bench.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "core/error.h"
#include "launcher/bench/job_cost.h"
#include "launcher/rank_reports.h"

namespace longship {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kOneWait(1);

// Parts of the ranks' time, all ranks together, and the rank that computed longest.
struct TimeSummary {
  double communication = 0;
  double waiting = 0;
  int64_t slowest_rank = 0;

  explicit TimeSummary(const std::vector<RankTime>& times) {
    RankTime sum;
    for (std::size_t i = 0; i < times.size(); ++i) {
      sum.total += times[i].total;
      sum.communication += times[i].communication;
      sum.waiting += times[i].waiting;
      if (times[i].computing() > times[static_cast<std::size_t>(slowest_rank)].computing()) {
        slowest_rank = static_cast<int64_t>(i);
      }
    }
    const auto total = static_cast<double>(std::max<int64_t>(1, sum.total));
    communication = static_cast<double>(sum.communication) / total;
    waiting = static_cast<double>(sum.waiting) / total;
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
    speed(test);
    const JobCost cost(take(ReportKind::kRoofline), options_.chunk_tokens);
    std::vector<double> samples;
    for (int i = 0; i < options_.repetitions; ++i) {
      progress_(test.name() + ": " + std::to_string(i + 1) + " of " + std::to_string(options_.repetitions));
      samples.push_back(speed(test));
    }
    const std::vector<RankReport> reports = take(ReportKind::kSpans);
    Json result = row(test, samples, cost, rank_times(reports));
    result.set("host_share", host_share(reports.front()));
    return result;
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

  // The keys and values of `depth` tokens: the engine keeps their full pages.
  void fill_cache(int64_t depth) {
    prefix_.clear();
    if (depth > 0) {
      append_random(depth, prefix_);
      submit_and_wait(request(prefix_, 1));
    }
  }

  static GenerationRequest request(std::vector<int32_t> prompt, int64_t max_tokens) {
    GenerationRequest request;
    request.prompt = std::move(prompt);
    request.max_tokens = max_tokens;
    request.sampling.temperature = 0;
    return request;
  }

  // Tokens per second of one run of the test: of a prompt by its tokens that were not in the cache, of a generation
  // from its first token on.
  double speed(const RunTest& test) {
    std::vector<int32_t> prompt = prefix_;
    append_random(std::max<int64_t>(1, test.prompt), prompt);
    const auto prompt_tokens = static_cast<int64_t>(prompt.size());
    const Clock::time_point begin = Clock::now();
    const Finished finished = submit_and_wait(request(std::move(prompt), 1 + test.generate));
    const int64_t tokens = test.prompt > 0 ? prompt_tokens - finished.cached_tokens : test.generate;
    const Clock::duration time = Clock::now() - (test.prompt > 0 ? begin : finished.first_token);
    return static_cast<double>(tokens) / std::chrono::duration<double>(time).count();
  }

  struct Finished {
    Clock::time_point first_token;
    int64_t cached_tokens = 0;
  };

  Finished submit_and_wait(GenerationRequest request) {
    const RequestId id = engine_.submit(std::move(request));
    std::optional<Clock::time_point> first_token;
    for (;;) {
      const std::optional<EngineEvent> event = engine_.next_event(Clock::now() + kOneWait);
      if (!event || event->request != id) {
        continue;
      }
      if (event->kind == EngineEvent::Kind::kToken && !first_token) {
        first_token = Clock::now();
      }
      if (event->kind != EngineEvent::Kind::kFinished) {
        continue;
      }
      if (event->reason == FinishReason::kError) {
        throw Error(ErrorKind::kUsage, event->error, "Choose smaller tests, or a larger --max-model-len.");
      }
      return {first_token.value_or(Clock::now()), event->cached_tokens};
    }
  }

  Json row(const RunTest& test, const std::vector<double>& samples, const JobCost& cost,
           const std::vector<RankTime>& times) const {
    double mean = 0;
    for (const double sample : samples) mean += sample / static_cast<double>(samples.size());
    double variance = 0;
    for (const double sample : samples) variance += (sample - mean) * (sample - mean);
    const double spread = samples.size() > 1 ? std::sqrt(variance / static_cast<double>(samples.size() - 1)) : 0.0;
    const double seconds = static_cast<double>(test.prompt + test.generate) / mean;
    const TimeSummary summary(times);
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
    json.set("mbu", cost.bytes(test) / seconds / cost.read_bytes_per_s());
    json.set("mfu", cost.ops(test) / seconds / cost.ops_per_s());
    json.set("comm_share", summary.communication);
    json.set("wait_share", summary.waiting);
    json.set("read_gbps", cost.read_bytes_per_s() * 1e-9);
    json.set("peak_gops", cost.ops_per_s() * 1e-9);
    json.set("weight_bytes", cost.weight_bytes());
    json.set("slowest_rank", summary.slowest_rank);
    json.set("bound_ts", static_cast<double>(test.prompt + test.generate) /
                             cost.least_seconds(test, summary.communication * seconds));
    return json;
  }

  Engine& engine_;
  const RunBenchOptions& options_;
  const ReportSink& sink_;
  const BenchProgress& progress_;
  std::mt19937_64 random_;
  std::vector<int32_t> prefix_;
};

}  // namespace

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
