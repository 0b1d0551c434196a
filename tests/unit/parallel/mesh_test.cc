#include "parallel/mesh.h"

#include <gtest/gtest.h>

namespace longship {
namespace {

TEST(Mesh, NumbersRanksTpFirstThenStagesFromTheLast) {
  const Mesh mesh(1, 2, 1, 2);
  EXPECT_EQ(mesh.size(), 4);
  EXPECT_EQ(mesh.coord(0), (Coord{.dp = 0, .pp = 1, .cp = 0, .tp = 0}));
  EXPECT_EQ(mesh.coord(1), (Coord{.dp = 0, .pp = 1, .cp = 0, .tp = 1}));
  EXPECT_EQ(mesh.coord(2), (Coord{.dp = 0, .pp = 0, .cp = 0, .tp = 0}));
  EXPECT_EQ(mesh.coord(3), (Coord{.dp = 0, .pp = 0, .cp = 0, .tp = 1}));
}

TEST(Mesh, RankAndCoordAreInverse) {
  const Mesh mesh(2, 3, 2, 5);
  EXPECT_EQ(mesh.size(), 60);
  EXPECT_EQ(mesh.extent(Axis::kDp), 2);
  EXPECT_EQ(mesh.extent(Axis::kPp), 3);
  EXPECT_EQ(mesh.extent(Axis::kCp), 2);
  EXPECT_EQ(mesh.extent(Axis::kTp), 5);
  for (int rank = 0; rank < mesh.size(); ++rank) {
    const Coord at = mesh.coord(rank);
    EXPECT_EQ(mesh.rank(at), rank);
    EXPECT_TRUE(at.dp >= 0 && at.dp < 2 && at.pp >= 0 && at.pp < 3 && at.cp >= 0 && at.cp < 2 && at.tp >= 0 &&
                at.tp < 5);
  }
}

TEST(Mesh, PutsTheLeaderOnTheLastStage) {
  for (int pp = 1; pp <= 5; ++pp) {
    EXPECT_EQ(Mesh(1, pp, 1, 3).coord(0), (Coord{.dp = 0, .pp = pp - 1, .cp = 0, .tp = 0}));
  }
}

TEST(Mesh, NamesARankByItsPlace) {
  EXPECT_EQ(Mesh(1, 2, 1, 2).name(3), "rank 3 (pp 0, tp 1)");
}

}  // namespace
}  // namespace longship
