#include "engine/schedule/step_plan.h"

#include <gtest/gtest.h>

#include <functional>

namespace longship {
namespace {

StepPlan example() {
  StepPlan plan;
  plan.step = 0x123456789ABCDEF0;
  plan.tokens = {5, 6, 7, 8};
  SampledRow row{.temperature = 0.7, .top_k = 5, .top_p = 0.9, .min_p = 0.1, .seed = 77, .choice = 3, .index = 12};
  row.logprobs = 4;
  row.edits = {{.token = 9, .bias = 1.5F, .penalty = 1.1F, .minus = 0.25F}};
  row.banned = {4, 5};
  row.allowed = TokenSet(70);
  row.allowed->add(69);
  plan.slices.push_back({.sequence = 1,
                         .epoch = 2,
                         .begin = 64,
                         .rows = 1,
                         .logit_rows = 1,
                         .adapter = 3,
                         .whole_rows = true,
                         .pages = {3, 0x7FFFFFFF},
                         .sampled = {row}});
  plan.slices.push_back({.sequence = 9, .epoch = 0, .begin = 0, .rows = 3, .logit_rows = 0, .pages = {}});
  return plan;
}

TEST(StepPlan, ComesBackFromItsFrame) {
  const StepPlan plan = example();
  const StepPlan back = StepPlan::parse(plan.serialize());
  EXPECT_EQ(back.step, plan.step);
  EXPECT_EQ(back.tokens, plan.tokens);
  EXPECT_EQ(back.logit_rows(), 1);
  EXPECT_EQ(back.whole_rows(), 1);
  ASSERT_EQ(back.slices.size(), plan.slices.size());
  for (std::size_t i = 0; i < plan.slices.size(); ++i) {
    EXPECT_EQ(back.slices[i].sequence, plan.slices[i].sequence);
    EXPECT_EQ(back.slices[i].epoch, plan.slices[i].epoch);
    EXPECT_EQ(back.slices[i].begin, plan.slices[i].begin);
    EXPECT_EQ(back.slices[i].rows, plan.slices[i].rows);
    EXPECT_EQ(back.slices[i].logit_rows, plan.slices[i].logit_rows);
    EXPECT_EQ(back.slices[i].adapter, plan.slices[i].adapter);
    EXPECT_EQ(back.slices[i].whole_rows, plan.slices[i].whole_rows);
    EXPECT_EQ(back.slices[i].pages, plan.slices[i].pages);
    EXPECT_EQ(back.slices[i].sampled, plan.slices[i].sampled);
  }
}

TEST(StepPlan, AFrameCutAnywhereIsRefused) {
  const Bytes frame = example().serialize();
  for (std::size_t size = 0; size < frame.size(); ++size) {
    EXPECT_THROW(StepPlan::parse(std::span(frame).first(size)), Error) << size;
  }
}

TEST(StepPlan, AFrameWithMoreIsRefused) {
  Bytes frame = example().serialize();
  frame.push_back(std::byte{0});
  EXPECT_THROW(StepPlan::parse(frame), Error);
}

TEST(StepPlan, NumbersThatContradictEachOtherAreRefused) {
  const std::function<void(StepPlan&)> breaks[] = {
      [](StepPlan& plan) { plan.tokens.pop_back(); },
      [](StepPlan& plan) { plan.tokens.push_back(1); },
      [](StepPlan& plan) { plan.slices.pop_back(); },
      [](StepPlan& plan) { plan.slices[0].begin = -1; },
      [](StepPlan& plan) { plan.slices[0].rows = 0; },
      [](StepPlan& plan) { plan.slices[0].rows = INT64_MAX; },
      [](StepPlan& plan) { plan.slices[0].rows = -4; },
      [](StepPlan& plan) { plan.slices[0].logit_rows = 2; },
      [](StepPlan& plan) { plan.slices[1].logit_rows = -1; },
      [](StepPlan& plan) { plan.slices[0].logit_rows = 0; },
      [](StepPlan& plan) { plan.slices[0].sampled[0].allowed = TokenSet::of_words(200, {1}); },
  };
  for (const auto& spoil : breaks) {
    StepPlan plan = example();
    spoil(plan);
    try {
      StepPlan::parse(plan.serialize());
      ADD_FAILURE() << "case " << &spoil - breaks << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kRank);
    }
  }
}

}  // namespace
}  // namespace longship
