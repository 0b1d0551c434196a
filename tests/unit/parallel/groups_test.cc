#include "parallel/groups.h"

#include <gtest/gtest.h>

namespace longship {
namespace {

TEST(FfnGroups, AreTheLargestPowerOfTwoThatLeavesTwentyFourGroups) {
  EXPECT_EQ(ffn_group_columns(1536, DType::kQ4_1), 64);
  EXPECT_EQ(ffn_group_columns(1536, DType::kF32), 64);
  EXPECT_EQ(ffn_group_columns(8960, DType::kQ8_0), 256);
  EXPECT_EQ(ffn_group_columns(172, DType::kF32), 4);
  EXPECT_EQ(ffn_group_columns(210, DType::kF32), 8);
  EXPECT_EQ(ffn_group_columns(24 * 256, DType::kF16), 256);
  EXPECT_EQ(ffn_group_columns(23 * 256, DType::kF16), 128);
}

TEST(FfnGroups, NeverCutTheLeastRunOfTheType) {
  EXPECT_EQ(ffn_group_columns(256, DType::kQ8_0), 32);
  EXPECT_EQ(ffn_group_columns(256, DType::kQ4_0), 32);
  EXPECT_EQ(ffn_group_columns(40, DType::kBF16), 2);
  EXPECT_EQ(ffn_group_columns(40, DType::kF16), 2);
  EXPECT_EQ(ffn_group_columns(7, DType::kF32), 2);
}

TEST(FfnGroups, LeaveTwentyFourGroupsAndTheNextSizeWouldNot) {
  for (int64_t columns = 47; columns <= 5000; ++columns) {
    const int64_t size = ffn_group_columns(columns, DType::kF32);
    EXPECT_GE((columns + size - 1) / size, 24) << columns;
    EXPECT_TRUE(size == 256 || (columns + 2 * size - 1) / (2 * size) < 24) << columns;
  }
}

TEST(HeadGroups, SpanWholeBlocksOnlyWhereWeightsAreBlocked) {
  EXPECT_EQ(heads_per_group(64, true), 1);
  EXPECT_EQ(heads_per_group(128, true), 1);
  EXPECT_EQ(heads_per_group(80, true), 2);
  EXPECT_EQ(heads_per_group(16, true), 2);
  EXPECT_EQ(heads_per_group(72, true), 4);
  EXPECT_EQ(heads_per_group(100, true), 8);
  EXPECT_EQ(heads_per_group(33, true), 32);
  EXPECT_EQ(heads_per_group(80, false), 1);
  EXPECT_EQ(heads_per_group(33, false), 2);
}

TEST(VocabularyUnit, IsABlockUnlessThatLeavesARankWithout) {
  EXPECT_EQ(vocabulary_unit(49152, 8), 1024);
  EXPECT_EQ(vocabulary_unit(4096, 4), 1024);
  EXPECT_EQ(vocabulary_unit(4095, 4), 1);
  EXPECT_EQ(vocabulary_unit(512, 1), 1);
}

}  // namespace
}  // namespace longship
