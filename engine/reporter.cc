#include "engine/reporter.h"

#include <algorithm>

#include "comm/gather_frames.h"
#include "engine/traffic_probe.h"

namespace longship {

namespace {

// Rows of the largest step that was recorded.
int64_t largest_step(const RankReport& report) {
  int64_t rows = 1;
  for (const NamedSpan& span : report.spans) {
    if (span.kind == SpanKind::kStep) rows = std::max(rows, span.amount);
  }
  return rows;
}

// Median microseconds of the recorded steps of so many rows; 0 if there are none.
int64_t step_us(const RankReport& report, int64_t rows) {
  std::vector<int64_t> steps;
  for (const NamedSpan& span : report.spans) {
    if (span.kind == SpanKind::kStep && span.amount == rows) steps.push_back((span.end_ns - span.begin_ns) / 1000);
  }
  if (steps.empty()) {
    return 0;
  }
  const auto middle = steps.begin() + std::ssize(steps) / 2;
  std::nth_element(steps.begin(), middle, steps.end());
  return *middle;
}

}  // namespace

std::vector<RankReport> Reporter::gather(ReportKind kind) {
  const RankReport mine = make(kind);
  std::vector<RankReport> reports;
  for (const Bytes& frame : gather_frames(sources_.world, mine.serialize())) {
    reports.push_back(RankReport::parse(frame));
  }
  return reports;
}

RankReport Reporter::make(ReportKind kind) {
  RankReport report;
  report.rank = sources_.world.rank();
  report.tp = sources_.ctx.me.tp;
  report.pp = sources_.ctx.me.pp;
  report.cost = sources_.stage.cost();
  take_spans(report);
  meet();
  report.clock_ns = now_ns();
  if (kind == ReportKind::kRoofline) {
    measure(report);
  }
  return report;
}

void Reporter::take_spans(RankReport& report) {
  if (sources_.spans == nullptr) {
    return;
  }
  for (const Span& span : sources_.spans->spans()) {
    report.spans.push_back({span.name, span.kind, span.begin_ns, span.end_ns, span.amount});
  }
  report.dropped_spans = sources_.spans->dropped();
  sources_.spans->clear();
}

void Reporter::measure(RankReport& report) {
  Kernels& kernels = sources_.ctx.ops.kernels();
  const DType dtype = report.cost.weight_dtype;
  const int stages = sources_.ctx.mesh.extent(Axis::kPp);
  report.roofline = report.stage_roofline = kernels.measure_roofline(dtype);
  meet();
  for (int stage = 0; stages > 1 && stage < stages; ++stage) {
    if (stage == report.pp) report.stage_roofline = kernels.measure_roofline(dtype);
    meet();
  }
  TrafficProbe traffic(sources_.stage, sources_.ctx);
  const auto pace = [&](int64_t rows) { return StepPace{rows, 1000 * largest_over_ranks(step_us(report, rows))}; };
  const StepPace small = pace(1);
  report.traffic = {traffic.measure(small), traffic.measure(pace(largest_over_ranks(largest_step(report))))};
  report.signal_s = traffic.measure_signal(sources_.world, small);
  meet();
  if (sources_.spans != nullptr) {
    sources_.spans->clear();  // those of measuring are not those of steps
  }
}

int64_t Reporter::largest_over_ranks(int64_t value) {
  const int ranks = sources_.world.size();
  Tensor mine = Tensor::allocate(DType::kI32, {1});
  *mine.data<int32_t>() = static_cast<int32_t>(value);
  Tensor all = Tensor::allocate(DType::kI32, {ranks});
  sources_.world.all_gather(mine, std::vector<int64_t>(static_cast<std::size_t>(ranks), 1), all, stream_);
  return std::ranges::max(all.values<int32_t>());
}

// Returns once every rank has called it.
void Reporter::meet() {
  const auto ranks = static_cast<std::size_t>(sources_.world.size());
  const Tensor one = Tensor::allocate(DType::kU8, {1});
  Tensor all = Tensor::allocate(DType::kU8, {sources_.world.size()});
  sources_.world.all_gather(one, std::vector<int64_t>(ranks, 1), all, stream_);
}

}  // namespace longship
