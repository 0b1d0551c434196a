#include "launcher/server/layout.h"

#include <gtest/gtest.h>

namespace longship {
namespace {

RankActivity rank_of(int rank, int pp, const std::string& host, int64_t kv_bytes) {
  RankActivity activity;
  activity.rank = rank;
  activity.pp = pp;
  activity.host = host;
  activity.layers = pp == 0 ? Range{0, 3} : Range{3, 5};
  activity.weights_bytes = 1500000;
  activity.kv_bytes = kv_bytes;
  activity.device = "cuda:" + std::to_string(rank);
  activity.tp_wire = pp == 1 ? "ipc" : "self";
  activity.pp_wire = "nccl";
  return activity;
}

TEST(Layout, ALineForEachStageOfEachHost) {
  const std::vector<RankActivity> ranks = {rank_of(0, 1, "a", 64000000), rank_of(1, 1, "a", 65000000),
                                           rank_of(2, 0, "b", 64000000)};
  const std::vector<std::string> lines = layout_lines(ranks);
  ASSERT_EQ(lines.size(), 2U);
  const std::string bytes = "weights 1.5 MB and keys and values ";
  EXPECT_EQ(lines[0], "a: ranks 0, 1: stage 1, layers 3..4, " + bytes +
                          "65.0 MB a rank, on cuda:0, cuda:1, ipc within the stage, nccl between stages");
  EXPECT_EQ(lines[1], "b: rank 2: stage 0, layers 0..2, " + bytes +
                          "64.0 MB a rank, on cuda:2, self within the stage, nccl between stages");
}

}  // namespace
}  // namespace longship
