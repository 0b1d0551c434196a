// Decode steps as graphs: which are recorded and replayed, and that this changes no bit.
#include <gtest/gtest.h>

#include "decode_model.h"
#include "engine/backend/cuda/decode_graphs.h"
#include "tests/cuda_emulator/device_array.h"

namespace longship {
namespace {

using cuda::DecodeGraphs;
using testing::DecodeModel;
using testing::Rows;

std::vector<Rows> one_row_each(int count) {
  std::vector<Rows> step;
  for (int i = 0; i < count; ++i) {
    step.push_back({i, 1});
  }
  return step;
}

TEST(DecodeGraph, EachSizeIsRecordedOnceThenReplayed) {
  DecodeModel model("models/llama", true);
  for (int i = 0; i < 5; ++i) {
    model.run(one_row_each(1));
  }
  EXPECT_EQ(model.called(), 2);  // as it is, recorded
  EXPECT_EQ(model.replayed(), 3);
  for (const int rows : {3, 4, 3, 4, 4}) {  // both as four
    model.run(one_row_each(rows));
  }
  EXPECT_EQ(model.called(), 4);
  EXPECT_EQ(model.replayed(), 6);
  for (int i = 0; i < 3; ++i) {  // known sizes stay known
    model.run(one_row_each(1));
    model.run(one_row_each(4));
  }
  EXPECT_EQ(model.called(), 4);
  EXPECT_EQ(model.replayed(), 12);
}

TEST(DecodeGraph, StepsOfSeveralRowsASequenceAreNotReplayed) {
  DecodeModel model("models/llama", true);
  for (int i = 0; i < 4; ++i) {
    model.run({{0, 3}});
    model.run({{0, 1}, {1, 2}});
  }
  EXPECT_EQ(model.called(), 8);
  EXPECT_EQ(model.replayed(), 0);
}

TEST(DecodeGraph, NothingIsReplayedWhereItIsNotWanted) {
  DecodeModel model("models/llama", false);
  for (int i = 0; i < 4; ++i) {
    model.run(one_row_each(2));
  }
  EXPECT_EQ(model.called(), 4);
  EXPECT_EQ(model.replayed(), 0);
}

TEST(DecodeGraph, AContextThatGrowsIsRecordedAgain) {
  DecodeModel model("models/llama", true);
  model.run({{0, 62}});
  for (int i = 0; i < 6; ++i) {  // two keys of the first page, then the second
    model.run({{0, 1}});
  }
  EXPECT_EQ(model.called(), 5);
  EXPECT_EQ(model.replayed(), 2);
}

// Prompts and sequences that come, go and cross pages while others are decoded.
const std::vector<std::vector<Rows>>& workload() {
  static const std::vector<std::vector<Rows>> steps = [] {
    std::vector<std::vector<Rows>> all = {{{0, 62}, {1, 5}}, {{2, 9}}, {{3, 1}}};
    for (int i = 0; i < 3; ++i) {
      all.push_back({{0, 1}, {1, 1}, {2, 1}});
      all.push_back({{2, 1}, {0, 1}, {3, 1}, {1, 1}});
      all.push_back({{1, 1}});
    }
    all.push_back({{0, 1}, {4, 20}});
    for (int i = 0; i < 2; ++i) {
      all.push_back({{4, 1}, {0, 1}, {1, 1}, {2, 1}, {3, 1}});
      all.push_back({{3, 1}});
    }
    return all;
  }();
  return steps;
}

class DecodeGraphBits : public ::testing::TestWithParam<const char*> {};

TEST_P(DecodeGraphBits, AreThoseOfStepsThatRunAsTheyAre) {
  DecodeModel graphs(GetParam(), true);
  DecodeModel plain(GetParam(), false);
  for (std::size_t i = 0; i < workload().size(); ++i) {
    EXPECT_EQ(graphs.run(workload()[i]), plain.run(workload()[i])) << "step " << i;
  }
  EXPECT_GE(graphs.replayed(), 5);
  EXPECT_EQ(plain.replayed(), 0);
}

INSTANTIATE_TEST_SUITE_P(Models, DecodeGraphBits, ::testing::Values("models/mistral-window", "models/gpt2-bare"),
                         [](const ::testing::TestParamInfo<const char*>& model) {
                           return "model" + std::to_string(model.index);
                         });

// A model and the one that guesses for it.
TEST(DecodeGraph, ModelsThatShareKernelsKeepTheirOwn) {
  const std::shared_ptr<Kernels> kernels = make_cuda_kernels({.name = "cuda", .deterministic = true}, 0);
  DecodeModel first("models/llama", kernels);
  DecodeModel second("models/qwen2", kernels);
  DecodeModel first_alone("models/llama", false);
  DecodeModel second_alone("models/qwen2", false);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(first.run(one_row_each(2)), first_alone.run(one_row_each(2))) << i;
    EXPECT_EQ(second.run(one_row_each(2)), second_alone.run(one_row_each(2))) << i;
  }
  EXPECT_EQ(first.replayed(), 2);
  EXPECT_EQ(second.replayed(), 2);
}

class RecordedFill : public ::testing::Test {
 protected:
  // Fills the array with `byte`; returns how often that was put on the stream by hand.
  int run(int64_t key, int byte) {
    graphs_.run(
        {.step = {.rows = key}},
        [&] {
          ++calls_;
          cuda::check(cuda::api().memset_async(array_.data(), byte, sizeof(int), stream_), "fill");
          return Tensor();
        },
        stream_);
    stream_.synchronize();
    return std::exchange(calls_, 0);
  }

  cuda::TestStream stream_;
  cuda::DeviceArray<int> array_{std::vector<int>{0}};
  DecodeGraphs graphs_;
  int calls_ = 0;
};

TEST_F(RecordedFill, IsRepeatedAsItWas) {
  EXPECT_EQ(run(1, 1), 1);
  EXPECT_EQ(run(1, 1), 1);
  EXPECT_EQ(run(2, 2), 1);
  EXPECT_EQ(array_.read(stream_), std::vector<int>{0x02020202});
  EXPECT_EQ(run(1, 1), 0);
  EXPECT_EQ(array_.read(stream_), std::vector<int>{0x01010101});
}

TEST_F(RecordedFill, TheLeastRecentlyUsedIsForgotten) {
  constexpr int kMost = 64;
  for (int key = 0; key < kMost; ++key) {
    run(key, 1);
    run(key, 1);
  }
  EXPECT_EQ(run(0, 1), 0);
  EXPECT_EQ(run(kMost, 1), 1);  // in place of 1
  EXPECT_EQ(run(0, 1), 0);
  EXPECT_EQ(run(1, 1), 1);
  EXPECT_EQ(run(1, 1), 1);
  EXPECT_EQ(run(1, 1), 0);
}

TEST_F(RecordedFill, AfterAFailureTheStreamIsAsBefore) {
  run(1, 1);
  const auto fail = []() -> Tensor { throw Error(ErrorKind::kInternal, "a cause", ""); };
  EXPECT_THROW(graphs_.run({.step = {.rows = 1}}, fail, stream_), Error);
  EXPECT_EQ(run(1, 3), 1);
  EXPECT_EQ(run(1, 3), 0);
  EXPECT_EQ(array_.read(stream_), std::vector<int>{0x03030303});
}

}  // namespace
}  // namespace longship
