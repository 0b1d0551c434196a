#include "engine/schedule/chunk_size.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace longship {
namespace {

std::vector<int64_t> chunks(int64_t length, int64_t most, const PipelineCost& cost, int64_t begin = 0) {
  std::vector<int64_t> sizes;
  for (; begin < length; begin += sizes.back()) {
    sizes.push_back(chunk_tokens(begin, length, most, cost));
    EXPECT_GT(sizes.back(), 0);
    EXPECT_LE(sizes.back(), most);
  }
  EXPECT_EQ(begin, length);
  return sizes;
}

TEST(ChunkSize, OneStageTakesAsMuchAsItMay) {
  EXPECT_EQ(chunks(1200, 512, {.stages = 1, .key = 0.01}), (std::vector<int64_t>{512, 512, 176}));
}

TEST(ChunkSize, ChunksTakeEqualTime) {
  for (const double key : {0.0, 1e-4, 2e-3}) {
    for (const int stages : {2, 3, 8}) {
      for (const int64_t begin : {0, 700}) {
        const std::vector<int64_t> sizes = chunks(4000, 100000, {.stages = stages, .key = key}, begin);
        ASSERT_GE(sizes.size(), 4U);
        std::vector<double> times;
        auto at = static_cast<double>(begin);
        for (const int64_t size : sizes) {
          const auto tokens = static_cast<double>(size);
          times.push_back(tokens * (1 + key * (at + tokens / 2)));
          at += tokens;
        }
        const auto [least, longest] = std::minmax_element(times.begin(), times.end());
        EXPECT_LT(*longest, 1.1 * *least) << key << " " << stages << " " << begin;
        EXPECT_GE(sizes.front(), sizes.back());
      }
    }
  }
}

// (W / k + o) (k + stages - 1) over W: what a prompt takes against what it would with no bubble and no overhead.
TEST(ChunkSize, ThePipelineIsFilledAtLittleCost) {
  for (const auto& [length, limit] : {std::pair{256, 1.6}, {1024, 1.35}, {8192, 1.15}}) {
    const auto count = static_cast<double>(chunks(length, 100000, {.stages = 2, .key = 0}).size());
    const double time = (length / count + 16) * (count + 1);
    EXPECT_LT(time / length, limit) << length;
  }
}

TEST(ChunkSize, AStepIsTheMost) {
  for (const int64_t most : {1, 7, 64}) {
    chunks(1000, most, {.stages = 2, .key = 0.002});
  }
}

}  // namespace
}  // namespace longship
