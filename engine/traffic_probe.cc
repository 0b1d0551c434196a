#include "engine/traffic_probe.h"

#include <algorithm>
#include <vector>

#include "core/span_log.h"

namespace longship {

namespace {

constexpr int kFirst = 0;
constexpr int kSmallRounds = 30;
constexpr int kLargeRounds = 16;  // the first of which find connections that have forgotten how fast they may send
constexpr int64_t kSignalBytes = 64;
// Waiting for longer than this is like waiting for this long.
constexpr int64_t kMostStageNs = 4'000'000;

double median(std::vector<double> values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void compute_for(int64_t ns) {
  const int64_t end = now_ns() + ns;
  while (now_ns() < end) {
  }
}

// Median seconds of a round of `body`, of which the first does not count; between(its nanoseconds) follows each.
template <class Body, class Between>
double median_seconds(int rounds, Stream& stream, const Body& body, const Between& between) {
  std::vector<double> seconds;
  for (int round = 0; round <= rounds; ++round) {
    const int64_t begin = now_ns();
    body();
    stream.synchronise();
    const int64_t ns = now_ns() - begin;
    if (round > 0) seconds.push_back(static_cast<double>(ns) * 1e-9);
    between(ns);
  }
  return median(std::move(seconds));
}

// Median seconds from here to `peer`, half of those there and back. Both compute before they send.
double ping(Communicator& group, Tensor& message, int peer, int64_t compute_ns, Stream& stream) {
  const double there_and_back = median_seconds(
      kSmallRounds, stream,
      [&] {
        group.send(message, peer, stream);
        group.recv(message, peer, stream);
      },
      [&](int64_t) { compute_for(compute_ns); });
  return std::max(0.0, there_and_back - static_cast<double>(compute_ns) * 1e-9) / 2;
}

void answer(Communicator& group, Tensor& message, int peer, int64_t compute_ns, Stream& stream) {
  for (int round = 0; round <= kSmallRounds; ++round) {
    group.recv(message, peer, stream);
    compute_for(compute_ns);
    group.send(message, peer, stream);
    stream.synchronise();
  }
}

}  // namespace

double TrafficProbe::measure_sums(const StepPace& pace) {
  double of_layer = 0;
  const auto sums = static_cast<int64_t>(stage_.layer_sums()) * cost_.layers;
  for (std::size_t which = 0; which < stage_.layer_sums() && ctx_.tp.size() > 1; ++which) {
    of_layer += median_seconds(
        pace.rows == 1 ? kSmallRounds : kLargeRounds, ctx_.stream, [&] { stage_.exchange_sum(which, pace.rows, ctx_); },
        [&](int64_t ns) { compute_for(pace.ns / sums - ns); });
  }
  return static_cast<double>(cost_.layers) * of_layer;
}

// How long a stage computes while the next one waits.
int64_t TrafficProbe::stage_ns(const StepPace& pace) const {
  return std::min(kMostStageNs, pace.ns / ctx_.pp.size());
}

// One pair of stages after the other, as each stage answers before it asks.
double TrafficProbe::measure_message(const StepPace& pace) {
  Communicator& pp = ctx_.pp;
  Tensor hidden = ctx_.workspace.take(Slot::kHidden, {pace.rows, cost_.width});
  if (pp.rank() > kFirst) {
    answer(pp, hidden, pp.rank() - 1, stage_ns(pace), ctx_.stream);
  }
  return pp.rank() + 1 < pp.size() ? ping(pp, hidden, pp.rank() + 1, stage_ns(pace), ctx_.stream) : 0;
}

StepTraffic TrafficProbe::measure(const StepPace& pace) {
  return {pace.rows, measure_sums(pace), measure_message(pace)};
}

double TrafficProbe::measure_signal(Communicator& world, const StepPace& pace) {
  Stream stream;
  Tensor message = Tensor::allocate(DType::kU8, {kSignalBytes});
  const int last = world.size() - 1;
  const int64_t compute_ns = ctx_.pp.size() > 1 ? stage_ns(pace) : 0;  // ranks of one stage wait only briefly
  if (last == kFirst) {
    return 0;
  }
  if (world.rank() == kFirst) {
    return ping(world, message, last, compute_ns, stream);
  }
  if (world.rank() == last) {
    answer(world, message, kFirst, compute_ns, stream);
  }
  return 0;
}

}  // namespace longship
