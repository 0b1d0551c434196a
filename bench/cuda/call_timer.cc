#include "bench/cuda/call_timer.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "cuda/watch.h"

namespace longship {

namespace {

using cuda::api;
using cuda::check;

constexpr int kWarmUps = 3;
constexpr std::size_t kSamples = 30;
constexpr std::size_t kFewestSamples = 5;
constexpr double kLongEnough = 0.4;  // seconds of samples, from which the fewest are enough
constexpr double kGraphSeconds = 2e-3;
constexpr int64_t kFewestCalls = 20;
constexpr int64_t kMostCalls = 400;
constexpr double kMostGraphSeconds = 0.05;

class Graph {
 public:
  Graph(cuda::StreamHandle stream, int64_t calls, const CallTimer::Work& work) : stream_(stream) {
    check(api().stream_begin_capture(stream), "capture a graph");
    for (int64_t call = 0; call < calls; ++call) {
      work(call);
    }
    cuda::GraphHandle graph = nullptr;
    check(api().stream_end_capture(stream, &graph), "capture a graph");
    const cuda::Status status = api().graph_instantiate(&exec_, graph);
    api().graph_destroy(graph);
    check(status, "instantiate a graph");
  }
  ~Graph() { api().graph_exec_destroy(exec_); }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  void launch() const { check(api().graph_launch(exec_, stream_), "launch a graph"); }

 private:
  cuda::StreamHandle stream_;
  cuda::GraphExecHandle exec_ = nullptr;
};

CallTime summary(std::vector<double> samples, int64_t calls) {
  std::sort(samples.begin(), samples.end());
  const double median = samples[samples.size() / 2];
  const double apart = samples[samples.size() - 1 - samples.size() / 10] - samples[samples.size() / 10];
  return {median / static_cast<double>(calls), apart / median};
}

// More calls where they are short, fewer where one takes long.
int64_t calls_of_graph(double seconds, int64_t different) {
  const auto wanted = static_cast<int64_t>(kGraphSeconds / seconds);
  const auto most = static_cast<int64_t>(kMostGraphSeconds / seconds);
  const int64_t calls = std::min(std::clamp(wanted, kFewestCalls, kMostCalls), std::max<int64_t>(most, 1));
  return (calls + different - 1) / different * different;
}

}  // namespace

CallTimer::CallTimer(cuda::StreamHandle stream, bool quick) : stream_(stream), quick_(quick) {
  check(api().event_create(&begin_), "create an event");
  check(api().event_create(&end_), "create an event");
}

CallTimer::~CallTimer() {
  api().event_destroy(begin_);
  api().event_destroy(end_);
}

double CallTimer::seconds_of(const std::function<void()>& work) {
  check(api().event_record(begin_, stream_), "record an event");
  work();
  check(api().event_record(end_, stream_), "record an event");
  cuda::wait(end_);
  float milliseconds = 0;
  check(api().event_elapsed_ms(&milliseconds, begin_, end_), "measure time");
  return std::max(static_cast<double>(milliseconds) * 1e-3, 1e-9);
}

CallTime CallTimer::time(int64_t different, const Work& work) {
  for (int64_t call = 0; call < different; ++call) {
    work(call);
  }
  const double once = seconds_of([&] { work(0); });
  const int64_t calls = quick_ ? 1 : calls_of_graph(once, different);
  return time_graph(calls, [&](int64_t call) { work(call % different); }).run;
}

GraphTime CallTimer::time_graph(int64_t calls, const Work& work) {
  using Clock = std::chrono::steady_clock;
  const Graph graph(stream_, calls, work);
  for (int i = 0; i < (quick_ ? 0 : kWarmUps); ++i) {
    graph.launch();
  }
  std::vector<double> launches;
  std::vector<double> runs;
  double sum = 0;
  const auto enough = [&] {
    return runs.size() >= (quick_ ? 1 : kSamples) || (sum > kLongEnough && runs.size() >= kFewestSamples);
  };
  while (!enough()) {
    const double run = seconds_of([&] {
      const Clock::time_point begin = Clock::now();
      graph.launch();
      launches.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
    });
    runs.push_back(run);
    sum += run;
  }
  return {summary(launches, 1), summary(runs, calls)};
}

}  // namespace longship
