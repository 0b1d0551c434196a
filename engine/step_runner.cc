#include "engine/step_runner.h"

#include <algorithm>
#include <utility>

namespace longship {

namespace {

int64_t pages_of(const PlanSlice& slice) {
  return (slice.begin + slice.rows + kPageTokens - 1) / kPageTokens;
}

// The plan that goes on from a plan if nothing comes between, but for its tokens; nothing where that cannot be known. A
// draft model is soon interrupted.
std::optional<StepPlan> plan_behind(const StepPlan& plan) {
  if (plan.model == PlanModel::kDraft) {
    return std::nullopt;
  }
  StepPlan next = plan;
  for (PlanSlice& slice : next.slices) {
    ++slice.begin;
    if (slice.rows != 1 || slice.sampled.size() != 1 || slice.with_draft || pages_of(slice) > std::ssize(slice.pages)) {
      return std::nullopt;
    }
    ++slice.sampled.front().index;
  }
  std::fill(next.tokens.begin(), next.tokens.end(), 0);
  return next;
}

// Whether both compute the same of the same tokens.
bool alike(const StepPlan& expected, const StepPlan& plan) {
  const auto same = [](const PlanSlice& a, const PlanSlice& b) {
    const int64_t pages = pages_of(a);
    return a.begin == b.begin && a.rows == b.rows && a.logit_rows == b.logit_rows && a.with_draft == b.with_draft &&
           a.whole_rows == b.whole_rows && a.sampled == b.sampled && std::ssize(b.pages) >= pages &&
           std::equal(a.pages.begin(), a.pages.begin() + pages, b.pages.begin());
  };
  return expected.model == plan.model &&
         std::equal(expected.slices.begin(), expected.slices.end(), plan.slices.begin(), plan.slices.end(), same);
}

}  // namespace

StepResult StepRunner::run(const StepPlan& plan) {
  const bool goes_on = expected_ && plan.tokens == tokens_ && alike(*expected_, plan);
  const Begun step = goes_on && ahead_ ? std::move(*ahead_) : begin(plan, nullptr);
  ahead_.reset();
  expected_ = step.drawn != nullptr ? plan_behind(plan) : std::nullopt;
  if (goes_on && expected_) {
    ahead_ = begin(*expected_, step.drawn.get());
  }
  return finish(step, plan);
}

StepRunner::Begun StepRunner::begin(const StepPlan& plan, DrawnTokens* fed) {
  Begun step{.logits = stage_.execute(plan, ctx_, fed)};
  if (sampler_ != nullptr && ctx_.pp.size() == 1) {
    step.drawn = sampler_->draw(plan, step.logits, ctx_.tp, ctx_.ops.kernels(), ctx_.stream);
  }
  return step;
}

StepResult StepRunner::finish(const Begun& step, const StepPlan& plan) {
  if (sampler_ == nullptr) {
    return {.step = plan.step};
  }
  if (step.drawn == nullptr) {
    return sampler_->sample(plan, step.logits, ctx_.tp, ctx_.ops.kernels(), ctx_.stream);
  }
  const std::span<const int32_t> tokens = step.drawn->read();
  tokens_.assign(tokens.begin(), tokens.end());
  StepResult result{.step = plan.step};
  for (const int32_t token : tokens) {
    LONGSHIP_CHECK(token != kNotAmongFirst, "the device chooses for certain");
    result.choices.push_back({.token = token == kNoToken ? RowChoice().token : token});
  }
  return result;
}

}  // namespace longship
