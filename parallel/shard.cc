#include "parallel/shard.h"

#include <algorithm>

#include "core/error.h"

namespace longship {

namespace {

Range equal_share(int64_t units, int ranks, int rank) {
  const int64_t base = units / ranks;
  const int64_t larger = units % ranks;
  const int64_t begin = rank * base + std::min<int64_t>(rank, larger);
  return {begin, begin + base + (rank < larger ? 1 : 0)};
}

Range owned_values(const ParamSpec& spec, const Segment& segment, int tp, int tp_rank) {
  if (spec.shard.dim < 0) {
    return {0, segment.extent};
  }
  const auto values = [](const Segment& s, Range units) {
    return Range{std::min(units.begin * s.unit, s.extent), std::min(units.end * s.unit, s.extent)};
  };
  const Segment& first = spec.shard.segments.front();
  if (!segment.replicable) {
    return values(segment, share(segment.units(), tp, tp_rank));
  }
  // Unit i of this segment is read by the i-th of units() equal runs of the first segment.
  const Range reader = values(first, share(first.units(), tp, tp_rank));
  if (reader.size() == 0) {
    return {0, 0};
  }
  const int64_t units = segment.units();
  return values(segment, {reader.begin * units / first.extent, (reader.end * units + first.extent - 1) / first.extent});
}

}  // namespace

Range share(int64_t units, int ranks, int rank) {
  LONGSHIP_CHECK(ranks >= 1 && rank >= 0 && rank < ranks, "a share needs a rank of its group");
  int64_t begin = 0;
  while (ranks % 2 == 0) {
    const int64_t left = (units + 1) / 2;
    ranks /= 2;
    if (rank < ranks) {
      units = left;
    } else {
      begin += left;
      units -= left;
      rank -= ranks;
    }
  }
  const Range part = equal_share(units, ranks, rank);
  return {begin + part.begin, begin + part.end};
}

Range stage_layers(int64_t layers, int stages, int stage) {
  return equal_share(layers, stages, stage);
}

std::vector<Slice> slices(const ParamSpec& spec, int tp, int tp_rank) {
  std::vector<Slice> result;
  int64_t local = 0;
  for (std::size_t i = 0; i < spec.shard.segments.size(); ++i) {
    const Range owned = owned_values(spec, spec.shard.segments[i], tp, tp_rank);
    result.push_back({i, owned, local});
    local += owned.size();
  }
  return result;
}

Shape local_shape(const ParamSpec& spec, int tp, int tp_rank) {
  Shape shape = spec.global;
  if (spec.shard.dim >= 0) {
    const Slice last = slices(spec, tp, tp_rank).back();
    shape[static_cast<std::size_t>(spec.shard.dim)] = last.local_begin + last.global.size();
  }
  return shape;
}

std::vector<int32_t> unit_bounds(const ParamSpec& spec, int tp) {
  std::vector<int32_t> bounds = {0};
  for (int rank = 0; rank < tp; ++rank) {
    bounds.push_back(static_cast<int32_t>(share(spec.shard.segments.front().units(), tp, rank).end));
  }
  return bounds;
}

}  // namespace longship
