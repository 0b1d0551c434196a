#include "engine/reporter.h"

#include <algorithm>
#include <cstring>

namespace longship {

namespace {

constexpr int kLeader = 0;

}  // namespace

std::vector<RankReport> Reporter::gather(ReportKind kind) {
  const RankReport mine = make(kind);
  std::vector<RankReport> reports;
  for (const Bytes& frame : gather_frames(mine.serialize())) {
    reports.push_back(RankReport::parse(frame));
  }
  return reports;
}

RankReport Reporter::make(ReportKind kind) {
  RankReport report;
  report.rank = sources_.world.rank();
  const Coord me = sources_.mesh.coord(report.rank);
  report.tp = me.tp;
  report.pp = me.pp;
  report.cost = sources_.cost;
  if (sources_.spans != nullptr) {
    for (const Span& span : sources_.spans->spans()) {
      report.spans.push_back({span.name, span.kind, span.begin_ns, span.end_ns, span.amount});
    }
    report.dropped_spans = sources_.spans->dropped();
    sources_.spans->clear();
  }
  meet();
  report.clock_ns = now_ns();
  if (kind == ReportKind::kRoofline) {
    report.roofline = sources_.kernels.measure_roofline(report.cost.weight_dtype);
    meet();
  }
  return report;
}

// Returns once every rank has called it.
void Reporter::meet() {
  const auto ranks = static_cast<std::size_t>(sources_.world.size());
  const Tensor one = Tensor::allocate(DType::kU8, {1});
  Tensor all = Tensor::allocate(DType::kU8, {sources_.world.size()});
  sources_.world.all_gather(one, std::vector<int64_t>(ranks, 1), all, stream_);
}

std::vector<Bytes> Reporter::gather_frames(const Bytes& mine) {
  const int ranks = sources_.world.size();
  Tensor size = Tensor::allocate(DType::kU8, {8});
  const auto bytes = static_cast<int64_t>(mine.size());
  std::memcpy(size.data<std::byte>(), &bytes, sizeof(bytes));
  Tensor sizes = Tensor::allocate(DType::kU8, {8 * ranks});
  sources_.world.all_gather(size, std::vector<int64_t>(static_cast<std::size_t>(ranks), 8), sizes, stream_);
  std::vector<int64_t> counts(static_cast<std::size_t>(ranks));
  std::memcpy(counts.data(), sizes.data<std::byte>(), counts.size() * sizeof(int64_t));

  Tensor part = Tensor::allocate(DType::kU8, {bytes});
  std::copy(mine.begin(), mine.end(), part.data<std::byte>());
  if (sources_.world.rank() != kLeader) {
    Tensor nothing;
    sources_.world.gather(part, counts, kLeader, nothing, stream_);
    return {};
  }
  int64_t total = 0;
  for (const int64_t count : counts) {
    total += count;
  }
  Tensor all = Tensor::allocate(DType::kU8, {total});
  sources_.world.gather(part, counts, kLeader, all, stream_);
  std::vector<Bytes> frames;
  const std::byte* at = all.data<std::byte>();
  for (const int64_t count : counts) {
    frames.emplace_back(at, at + count);
    at += count;
  }
  return frames;
}

}  // namespace longship
