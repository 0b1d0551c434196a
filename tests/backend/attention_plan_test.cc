// How the attention of a step is divided among threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <ostream>
#include <set>
#include <tuple>

#include "engine/backend/cpu/cpu_attention.h"

namespace longship::cpu {
namespace {

struct Step {
  int threads;
  int64_t heads;
  int64_t kv_heads;
  int64_t sequences;
  int64_t rows;      ///< Of each sequence.
  int64_t position;  ///< Of the first row.
  int64_t window;
};

void PrintTo(const Step& step, std::ostream* out) {
  *out << step.threads << " threads, " << step.heads << " heads on " << step.kv_heads << ", " << step.sequences << " x "
       << step.rows << " rows at " << step.position << ", window " << step.window;
}

std::vector<Step> every_step() {
  std::vector<Step> steps;
  for (const int threads : {1, 2, 4, 16, 64}) {
    for (const auto& [heads, kv_heads] : {std::pair{4, 4}, std::pair{9, 3}, std::pair{12, 2}, std::pair{32, 8}}) {
      for (const auto& [sequences, rows] : {std::pair{1, 1}, std::pair{3, 1}, std::pair{16, 1}, std::pair{2, 70}}) {
        for (const int64_t position : {0, 63, 64, 200, 256, 511, 700, 4095, 32767}) {
          for (const int64_t window : {0, 100, 1000}) {
            steps.push_back({threads, heads, kv_heads, sequences, rows, position, window});
          }
        }
      }
    }
  }
  return steps;
}

class AttentionPlanTest : public testing::Test {
 protected:
  void make(const Step& step) {
    const int64_t page_count = (step.position + step.rows + kChunkKeys - 1) / kChunkKeys;
    batch_ = {};
    batch_.positions = Tensor::wrap(DType::kI32, {step.sequences * step.rows}, nullptr);
    for (int64_t i = 0; i < step.sequences; ++i) {
      batch_.slices.push_back({.first_row = i * step.rows,
                               .rows = step.rows,
                               .begin = step.position,
                               .pages = std::vector<int32_t>(static_cast<std::size_t>(page_count))});
    }
    kv_head_.clear();
    for (int64_t head = 0; head < step.heads; ++head) {
      kv_head_.push_back(static_cast<int32_t>(head * step.kv_heads / step.heads));
    }
    AttentionTask task{};
    task.kv_heads = step.kv_heads;
    task.head_dim = 64;
    task.window = step.window;
    plan_.make(task, batch_, kv_head_, step.threads);
  }

  /// Teams in which each row and head stands, with its chunks.
  using Chunks = std::vector<std::pair<int64_t, int64_t>>;
  std::map<std::pair<int64_t, int64_t>, Chunks> chunks_of_queries() const {
    std::map<std::pair<int64_t, int64_t>, Chunks> all;
    for (const AttentionTeam& team : plan_.teams()) {
      for (int64_t i = 0; i < team.count; ++i) {
        const AttentionUnit& unit = plan_.units()[static_cast<std::size_t>(team.first_unit + i * team.stride)];
        for (int64_t row = unit.row; row < unit.row + unit.rows; ++row) {
          for (int64_t head = unit.head; head < unit.head + unit.heads; ++head) {
            EXPECT_EQ(unit.kv_head, kv_head_[static_cast<std::size_t>(head)]);
            all[{row, head}].emplace_back(unit.first_chunk, unit.end_chunk);
          }
        }
      }
    }
    return all;
  }

  Batch batch_;
  std::vector<int32_t> kv_head_;
  AttentionPlan plan_;
};

TEST_F(AttentionPlanTest, EveryQuerySeesEveryChunkOnce) {
  for (const Step& step : every_step()) {
    SCOPED_TRACE(testing::PrintToString(step));
    make(step);
    auto all = chunks_of_queries();
    ASSERT_EQ(std::ssize(all), step.sequences * step.rows * step.heads);
    for (auto& [query, chunks] : all) {
      const int64_t position = step.position + query.first % step.rows;
      const int64_t first = step.window == 0 ? 0 : std::max<int64_t>(0, position + 1 - step.window);
      std::sort(chunks.begin(), chunks.end());
      EXPECT_LE(chunks.front().first, first / kChunkKeys);
      EXPECT_GT(chunks.back().second, position / kChunkKeys);
      for (std::size_t i = 1; i < chunks.size(); ++i) {
        ASSERT_EQ(chunks[i].first, chunks[i - 1].second);
      }
    }
  }
}

TEST_F(AttentionPlanTest, UnitsTogetherDifferInTheHeadOnly) {
  for (const Step& step : every_step()) {
    SCOPED_TRACE(testing::PrintToString(step));
    make(step);
    for (const AttentionTeam& team : plan_.teams()) {
      ASSERT_LE(team.count, kMostTogether);
      const auto key = [&](int64_t i) {
        const AttentionUnit& unit = plan_.units()[static_cast<std::size_t>(team.first_unit + i * team.stride)];
        return std::tuple(unit.pages, unit.row, unit.position, unit.rows, unit.heads, unit.first_chunk, unit.end_chunk,
                          unit.partial < 0);
      };
      for (int64_t i = 1; i < team.count; ++i) {
        EXPECT_EQ(key(i), key(0));
        EXPECT_EQ(plan_.units()[static_cast<std::size_t>(team.first_unit)].rows, 1);
      }
    }
  }
}

TEST_F(AttentionPlanTest, PartialsStandApartInTheirMemory) {
  for (const Step& step : every_step()) {
    SCOPED_TRACE(testing::PrintToString(step));
    make(step);
    std::set<int64_t> taken;
    for (const AttentionUnit& unit : plan_.units()) {
      for (int64_t query = 0; unit.partial >= 0 && query < unit.queries(); ++query) {
        EXPECT_TRUE(taken.insert(unit.partial + query).second);
      }
    }
    EXPECT_EQ(std::ssize(taken), plan_.partials());
    const auto bytes = std::ssize(taken) * partial_values(kMaxHeadDim) * static_cast<int64_t>(sizeof(float));
    EXPECT_LE(bytes, AttentionPlan::scratch_bytes(step.threads));
  }
}

// As many teams as threads, or as there would be if each query and head went alone.
TEST_F(AttentionPlanTest, NoThreadIsIdleThatCouldHaveAHead) {
  for (const Step& step : every_step()) {
    SCOPED_TRACE(testing::PrintToString(step));
    make(step);
    EXPECT_GE(std::ssize(plan_.teams()), std::min<int64_t>(step.threads, step.sequences * step.heads));
  }
}

TEST_F(AttentionPlanTest, LongContextsAreReadInTheOrderOfMemory) {
  make({.threads = 2, .heads = 12, .kv_heads = 2, .sequences = 1, .rows = 1, .position = 32767, .window = 0});
  ASSERT_GE(std::ssize(plan_.teams()), 8);
  for (const AttentionTeam& team : plan_.teams()) {
    EXPECT_EQ(team.count, 2);
  }
}

}  // namespace
}  // namespace longship::cpu
