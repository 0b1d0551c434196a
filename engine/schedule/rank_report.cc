#include "engine/schedule/rank_report.h"

#include <unordered_map>

namespace longship {

namespace {

// A span as it travels; `name` is its place in the table of names.
struct PackedSpan {
  int64_t begin_ns;
  int64_t end_ns;
  int64_t amount;
  uint32_t name;
  SpanKind kind;
};

void require(bool holds) {
  if (!holds) {
    throw Error(ErrorKind::kRank, "a frame between ranks is not a report",
                "Check that every rank runs the same version of longship.");
  }
}

void put_spans(const std::vector<NamedSpan>& spans, ByteWriter& out) {
  std::vector<std::string> names;
  std::unordered_map<std::string, uint32_t> places;
  std::vector<PackedSpan> packed;
  packed.reserve(spans.size());
  for (const NamedSpan& span : spans) {
    const auto [place, added] = places.try_emplace(span.name, static_cast<uint32_t>(names.size()));
    if (added) {
      names.push_back(span.name);
    }
    packed.push_back({span.begin_ns, span.end_ns, span.amount, place->second, span.kind});
  }
  out.put(static_cast<uint64_t>(names.size()));
  for (const std::string& name : names) {
    out.put_string(name);
  }
  out.put_span(std::span<const PackedSpan>(packed));
}

std::vector<NamedSpan> get_spans(ByteReader& in) {
  std::vector<std::string> names;
  const auto count = in.get<uint64_t>();
  for (uint64_t i = 0; i < count; ++i) {
    names.push_back(in.get_string());
  }
  std::vector<NamedSpan> spans;
  for (const PackedSpan& span : in.get_vector<PackedSpan>()) {
    require(span.name < names.size() && span.kind <= SpanKind::kReceive);
    spans.push_back({names[span.name], span.kind, span.begin_ns, span.end_ns, span.amount});
  }
  return spans;
}

}  // namespace

Bytes RankReport::serialize() const {
  ByteWriter out;
  out.put(static_cast<int32_t>(rank));
  out.put(static_cast<int32_t>(tp));
  out.put(static_cast<int32_t>(pp));
  out.put(clock_ns);
  out.put(roofline);
  out.put(stage_roofline);
  out.put(traffic);
  out.put(signal_s);
  out.put(cost);
  put_spans(spans, out);
  out.put(dropped_spans);
  return out.take();
}

RankReport RankReport::parse(std::span<const std::byte> frame) {
  ByteReader in(frame);
  RankReport report;
  report.rank = in.get<int32_t>();
  report.tp = in.get<int32_t>();
  report.pp = in.get<int32_t>();
  report.clock_ns = in.get<int64_t>();
  report.roofline = in.get<Roofline>();
  report.stage_roofline = in.get<Roofline>();
  report.traffic = in.get<std::array<StepTraffic, 2>>();
  report.signal_s = in.get<double>();
  report.cost = in.get<StageCost>();
  report.spans = get_spans(in);
  report.dropped_spans = in.get<int64_t>();
  require(in.done());
  return report;
}

}  // namespace longship
