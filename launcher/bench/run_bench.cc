#include "launcher/bench/run_bench.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <random>
#include <set>
#include <utility>

#include "core/error.h"
#include "engine/backend/kv_page.h"
#include "launcher/bench/job_cost.h"
#include "launcher/job/rank_reports.h"

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

double mean(const std::vector<double>& samples) {
  return std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(samples.size());
}

class RunBench {
 public:
  RunBench(Engine& engine, const RunBenchOptions& options, const ReportSink& sink, const BenchProgress& progress)
      : engine_(engine), options_(options), sink_(sink), progress_(progress), random_(7) {}

  RunResult run(const RunTest& test) {
    progress_(test.name() + ": warm-up");
    check(test);
    fill_cache(test);
    speed(test);
    take(ReportKind::kSpans);
    std::vector<double> samples;
    for (int i = 0; i < options_.repetitions; ++i) {
      progress_(test.name() + ": " + std::to_string(i + 1) + " of " + std::to_string(options_.repetitions));
      samples.push_back(speed(test));
    }
    const std::vector<RankReport> reports = take(ReportKind::kRoofline);
    RunResult result{.test = test, .row = {}, .cost = JobCost(reports, engine_.info().step_tokens)};
    const double share = host_share(reports.front());
    result.seconds = static_cast<double>(test.tokens()) / median(samples);
    result.host_s = share * result.seconds / static_cast<double>(result.cost.steps(test));
    result.row = row(result, samples, TimeSummary(rank_times(reports)));
    result.row.set("host_share", share);
    return result;
  }

 private:
  void check(const RunTest& test) const {
    const EngineInfo info = engine_.info();
    if (test.context_tokens() > info.max_model_len) {
      throw Error(ErrorKind::kUsage,
                  test.name() + " needs a context of " + std::to_string(test.context_tokens()) +
                      " tokens, but there are " + std::to_string(info.max_model_len),
                  "Choose smaller tests, or a larger --max-model-len.");
    }
    const int64_t pages = (test.context_tokens() + kPageTokens - 1) / kPageTokens;
    if (const int64_t tokens = test.streams * pages * kPageTokens; tokens > info.kv_tokens) {
      throw Error(ErrorKind::kUsage,
                  test.name() + " needs room for " + std::to_string(tokens) +
                      " tokens of keys and values, but there is room for " + std::to_string(info.kv_tokens),
                  "Choose smaller tests, or a larger --kv-cache-memory.");
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

  // The keys and values of `depth` tokens of each stream: the engine keeps their full pages.
  void fill_cache(const RunTest& test) {
    prefixes_.assign(static_cast<std::size_t>(test.streams), {});
    for (std::vector<int32_t>& prefix : prefixes_) {
      if (test.depth > 0) {
        append_random(test.depth, prefix);
        submit_and_wait({request(prefix, 1)}, 0);
      }
    }
  }

  static GenerationRequest request(std::vector<int32_t> prompt, int64_t max_tokens) {
    GenerationRequest request;
    request.prompt = std::move(prompt);
    request.max_tokens = max_tokens;
    request.sampling.temperature = 0;
    return request;
  }

  // Tokens per second of one run of the test.
  double speed(const RunTest& test) {
    constexpr int kTries = 20;
    for (int i = 0; i < kTries; ++i) {
      if (const std::optional<double> speed = try_speed(test)) {
        return *speed;
      }
    }
    throw Error(ErrorKind::kUsage, "the streams did not run at the same time", "Give more tokens by -n.");
  }

  // Of prompts by their tokens that were not in the cache, of generations while all streams run; nothing if the first
  // ones had ended before the last ones began.
  std::optional<double> try_speed(const RunTest& test) {
    std::vector<GenerationRequest> requests;
    int64_t prompt_tokens = 0;
    for (std::vector<int32_t> prompt : prefixes_) {
      append_random(std::max<int64_t>(1, test.prompt), prompt);
      prompt_tokens += std::ssize(prompt);
      requests.push_back(request(std::move(prompt), test.most_generated()));
    }
    const Clock::time_point begin = Clock::now();
    const StreamsRun run = submit_and_wait(std::move(requests), test.generate);
    if (run.rounds_left > 0) {
      return std::nullopt;
    }
    const int64_t tokens = test.prompt > 0 ? prompt_tokens - run.cached_tokens : run.tokens;
    const Clock::duration time = test.prompt > 0 ? run.all_begun - begin : run.last_round - run.all_begun;
    return static_cast<double>(tokens) / std::chrono::duration<double>(time).count();
  }

  // Streams that were submitted together, and the rounds of a token each that they have once all run.
  struct StreamsRun {
    std::size_t streams;
    int64_t rounds_left;
    Clock::time_point all_begun{};   ///< The last one has its first token ...
    Clock::time_point last_round{};  ///< ... and all have had the rounds.
    int64_t tokens = 0;              ///< Between these.
    int64_t cached_tokens = 0;
    std::set<RequestId> waiting{};  ///< For their first token.
    std::set<RequestId> running{};
    std::size_t of_round = 0;

    void note(const EngineEvent& event) {
      if (event.kind == EngineEvent::Kind::kToken) {
        note_token(event.request, event.made);
      } else if (event.kind == EngineEvent::Kind::kFinished && running.erase(event.request) != 0) {
        cached_tokens += event.cached_tokens;
      }
    }
    void note_token(RequestId stream, Clock::time_point made) {
      if (!waiting.empty()) {
        waiting.erase(stream);
        all_begun = made;
      } else if (rounds_left > 0 && running.size() == streams && ++of_round == streams) {
        of_round = 0;
        --rounds_left;
        tokens += static_cast<int64_t>(streams);
        last_round = made;
      }
    }
  };

  StreamsRun submit_and_wait(std::vector<GenerationRequest> requests, int64_t rounds) {
    StreamsRun run{.streams = requests.size(), .rounds_left = rounds};
    for (GenerationRequest& request : requests) {
      run.waiting.insert(*run.running.insert(engine_.submit(std::move(request))).first);
    }
    bool cancelled = rounds == 0 || run.streams == 1;  // those end by themselves
    while (!run.running.empty()) {
      const std::optional<EngineEvent> event = engine_.next_event(Clock::now() + kOneWait);
      if (event && event->kind == EngineEvent::Kind::kFinished && event->reason >= FinishReason::kError) {
        throw Error(ErrorKind::kUsage, event->error, "Choose smaller tests, or a larger --max-model-len.");
      }
      if (event) run.note(*event);
      if (run.rounds_left == 0 && !std::exchange(cancelled, true)) {
        for (const RequestId stream : run.running) engine_.cancel(stream);
      }
    }
    return run;
  }

  Json row(const RunResult& result, const std::vector<double>& samples, const TimeSummary& summary) const {
    const RunTest& test = result.test;
    const JobCost& cost = result.cost;
    const double speed = mean(samples);
    const double seconds = static_cast<double>(test.tokens()) / speed;
    Json json;
    json.set("test", test.name());
    json.set("n_prompt", test.prompt);
    json.set("n_gen", test.generate);
    json.set("n_depth", test.depth);
    json.set("n_parallel", test.streams);
    json.set("tp", engine_.info().tp);
    json.set("pp", engine_.info().pp);
    json.set("n_threads", engine_.info().threads);
    set_speed(samples, json);
    json.set("mbu", cost.bytes(test) / seconds / cost.read_bytes_per_s());
    json.set("mfu", cost.ops(test) / seconds / cost.ops_per_s());
    json.set("comm_share", summary.communication);
    json.set("wait_share", summary.waiting);
    json.set("read_gbps", cost.read_bytes_per_s() * 1e-9);
    json.set("peak_gops", cost.ops_per_s() * 1e-9);
    json.set("weight_bytes", cost.weight_bytes());
    json.set("slowest_rank", summary.slowest_rank);
    json.set("bound_ts", static_cast<double>(test.tokens()) / cost.seconds(test));
    return json;
  }

  Engine& engine_;
  const RunBenchOptions& options_;
  const ReportSink& sink_;
  const BenchProgress& progress_;
  std::mt19937_64 random_;
  std::vector<std::vector<int32_t>> prefixes_;  // of the streams
};

}  // namespace

void set_speed(const std::vector<double>& samples, Json& row) {
  const double speed = mean(samples);
  double variance = 0;
  for (const double sample : samples) variance += (sample - speed) * (sample - speed);
  row.set("avg_ts", speed);
  row.set("stddev_ts", samples.size() > 1 ? std::sqrt(variance / static_cast<double>(samples.size() - 1)) : 0.0);
  row.set("samples_ts", Json::Array(samples.begin(), samples.end()));
  row.set("ms_per_token", 1000 / speed);
}

double median(std::vector<double> samples) {
  std::ranges::sort(samples);
  return (samples[(samples.size() - 1) / 2] + samples[samples.size() / 2]) / 2;
}

std::vector<RunResult> run_benchmarks(Engine& engine, const RunBenchOptions& options, const ReportSink& sink,
                                      const BenchProgress& progress) {
  RunBench bench(engine, options, sink, progress);
  std::vector<RunResult> results;
  for (const RunTest& test : options.tests) {
    results.push_back(bench.run(test));
  }
  return results;
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
