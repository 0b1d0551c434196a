#include "parallel/shard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/reduction_tree.h"

namespace longship {
namespace {

std::vector<int64_t> share_sizes(int64_t units, int ranks) {
  std::vector<int64_t> sizes;
  for (int rank = 0; rank < ranks; ++rank) {
    sizes.push_back(share(units, ranks, rank).size());
  }
  return sizes;
}

Segment rows_segment(const char* source, int64_t units, int64_t unit) {
  return {.source = source, .extent = units * unit, .unit = unit};
}

ParamSpec spec_of(int dim, Shape global, std::vector<Segment> segments) {
  ParamSpec spec;
  spec.name = "param";
  spec.dtypes.assign(segments.size(), DType::kF32);
  spec.global = std::move(global);
  spec.shard = {.dim = dim, .contracts = dim == 1, .segments = std::move(segments)};
  return spec;
}

TEST(Share, SplitsEvenRanksInHalfAndOddRanksEqually) {
  using Sizes = std::vector<int64_t>;
  EXPECT_EQ(share_sizes(9, 1), (Sizes{9}));
  EXPECT_EQ(share_sizes(9, 2), (Sizes{5, 4}));
  EXPECT_EQ(share_sizes(9, 3), (Sizes{3, 3, 3}));
  EXPECT_EQ(share_sizes(9, 4), (Sizes{3, 2, 2, 2}));
  EXPECT_EQ(share_sizes(9, 6), (Sizes{2, 2, 1, 2, 1, 1}));
  EXPECT_EQ(share_sizes(9, 8), (Sizes{2, 1, 1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(share_sizes(6, 7), (Sizes{1, 1, 1, 1, 1, 1, 0}));
  EXPECT_EQ(share_sizes(5, 3), (Sizes{2, 2, 1}));
}

TEST(Share, CoversTheUnitsInRankOrder) {
  for (int64_t units = 0; units <= 40; ++units) {
    for (int ranks = 1; ranks <= 8; ++ranks) {
      int64_t next = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        const Range part = share(units, ranks, rank);
        EXPECT_EQ(part.begin, next) << units << " units, rank " << rank << " of " << ranks;
        EXPECT_GE(part.size(), units / ranks == 0 ? 0 : units / ranks - 1);
        EXPECT_LE(part.size(), units / ranks + 1 + (ranks % 2 == 0 ? 1 : 0));
        next = part.end;
      }
      EXPECT_EQ(next, units);
    }
  }
}

TEST(Share, OfAPowerOfTwoOwnsWholeSubtrees) {
  for (int32_t groups = 1; groups <= 40; ++groups) {
    for (const int tp : {1, 2, 4, 8}) {
      const ParamSpec spec = spec_of(1, {4, groups}, {rows_segment("o", groups, 1)});
      const ReductionTree tree(groups, unit_bounds(spec, tp));
      for (int rank = 0; rank < tp; ++rank) {
        EXPECT_EQ(tree.node_count(rank), share(groups, tp, rank).size() == 0 ? 0 : 1)
            << groups << " groups, rank " << rank << " of " << tp;
      }
    }
  }
}

TEST(StageLayers, AreContiguousAndAsEqualAsPossible) {
  EXPECT_EQ(stage_layers(30, 4, 0), (Range{0, 8}));
  EXPECT_EQ(stage_layers(30, 4, 1), (Range{8, 16}));
  EXPECT_EQ(stage_layers(30, 4, 2), (Range{16, 23}));
  EXPECT_EQ(stage_layers(30, 4, 3), (Range{23, 30}));
  for (int64_t layers = 1; layers <= 40; ++layers) {
    for (int stages = 1; stages <= layers; ++stages) {
      int64_t next = 0;
      for (int stage = 0; stage < stages; ++stage) {
        const Range part = stage_layers(layers, stages, stage);
        EXPECT_EQ(part.begin, next);
        EXPECT_GE(part.size(), layers / stages);
        EXPECT_LE(part.size(), (layers + stages - 1) / stages);
        next = part.end;
      }
      EXPECT_EQ(next, layers);
    }
  }
}

TEST(Slices, OfAReplicatedParameterAreWhole) {
  const ParamSpec spec = spec_of(-1, {576}, {rows_segment("norm", 576, 1)});
  for (int rank = 0; rank < 3; ++rank) {
    const std::vector<Slice> own = slices(spec, 3, rank);
    ASSERT_EQ(own.size(), 1U);
    EXPECT_EQ(own[0].global, (Range{0, 576}));
    EXPECT_EQ(local_shape(spec, 3, rank), (Shape{576}));
  }
}

TEST(Slices, CutEverySegmentAlikeOneAfterTheOther) {
  const ParamSpec spec = spec_of(0, {20, 8}, {rows_segment("gate", 5, 2), rows_segment("up", 5, 2)});
  const std::vector<Slice> first = slices(spec, 2, 0);
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[0].global, (Range{0, 6}));
  EXPECT_EQ(first[1].global, (Range{0, 6}));
  EXPECT_EQ(first[1].local_begin, 6);
  const std::vector<Slice> second = slices(spec, 2, 1);
  EXPECT_EQ(second[0].global, (Range{6, 10}));
  EXPECT_EQ(second[1].local_begin, 4);
  EXPECT_EQ(local_shape(spec, 2, 0), (Shape{12, 8}));
  EXPECT_EQ(local_shape(spec, 2, 1), (Shape{8, 8}));
}

TEST(Slices, LeaveTheShortLastUnitToItsOwner) {
  Segment segment = rows_segment("down", 3, 32);
  segment.extent = 70;
  const ParamSpec spec = spec_of(1, {8, 70}, {segment});
  EXPECT_EQ(unit_bounds(spec, 2), (std::vector<int32_t>{0, 2, 3}));
  EXPECT_EQ(local_shape(spec, 2, 0), (Shape{8, 64}));
  EXPECT_EQ(local_shape(spec, 2, 1), (Shape{8, 6}));
  EXPECT_EQ(local_shape(spec, 7, 6), (Shape{8, 0}));
}

TEST(Slices, CopyTheKeyValueHeadsThatTwoRanksRead) {
  Segment kv = rows_segment("k", 3, 64);
  kv.replicable = true;
  const ParamSpec spec = spec_of(0, {(9 + 3) * 64, 576}, {rows_segment("q", 9, 64), kv});
  EXPECT_EQ(slices(spec, 2, 0)[1].global, (Range{0, 2 * 64}));
  EXPECT_EQ(slices(spec, 2, 1)[1].global, (Range{1 * 64, 3 * 64}));
  EXPECT_EQ(slices(spec, 3, 2)[1].global, (Range{2 * 64, 3 * 64}));
}

TEST(Slices, GiveEachQueryHeadItsKeyValueHeadAndNoOther) {
  constexpr int64_t kHeadDim = 4;
  for (const int64_t kv_heads : {1, 2, 3, 5}) {
    for (const int64_t queries_per_kv : {1, 2, 3, 7}) {
      Segment kv = rows_segment("k", kv_heads, kHeadDim);
      kv.replicable = true;
      const int64_t heads = kv_heads * queries_per_kv;
      const ParamSpec spec = spec_of(0, {(heads + kv_heads) * kHeadDim, 8}, {rows_segment("q", heads, kHeadDim), kv});
      for (int tp = 1; tp <= 8; ++tp) {
        for (int rank = 0; rank < tp; ++rank) {
          const Range queries = share(heads, tp, rank);
          const std::vector<Slice> own = slices(spec, tp, rank);
          EXPECT_EQ(own[0].global, (Range{queries.begin * kHeadDim, queries.end * kHeadDim}));
          if (queries.size() == 0) {
            EXPECT_EQ(own[1].global.size(), 0);
            continue;
          }
          const Range read = {queries.begin / queries_per_kv, (queries.end - 1) / queries_per_kv + 1};
          EXPECT_EQ(own[1].global, (Range{read.begin * kHeadDim, read.end * kHeadDim}))
              << heads << " heads on " << kv_heads << ", rank " << rank << " of " << tp;
        }
      }
    }
  }
}

TEST(Slices, OfAllRanksCoverWhatIsNotReplicated) {
  for (int64_t units = 1; units <= 40; ++units) {
    Segment segment = rows_segment("w", units, 3);
    segment.extent -= 1;
    const ParamSpec spec = spec_of(0, {segment.extent}, {segment});
    for (int tp = 1; tp <= 8; ++tp) {
      int64_t next = 0;
      for (int rank = 0; rank < tp; ++rank) {
        const Slice own = slices(spec, tp, rank).front();
        EXPECT_EQ(own.global.begin, std::min(next, segment.extent));
        next = own.global.end;
      }
      EXPECT_EQ(next, segment.extent);
      EXPECT_EQ(unit_bounds(spec, tp).back(), units);
    }
  }
}

}  // namespace
}  // namespace longship
