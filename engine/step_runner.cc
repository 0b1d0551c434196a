#include "engine/step_runner.h"

#include <algorithm>
#include <utility>

#include "engine/model/edges.h"

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
    return a.begin == b.begin && a.rows == b.rows && a.logit_rows == b.logit_rows && a.adapter == b.adapter &&
           a.with_draft == b.with_draft && a.whole_rows == b.whole_rows && a.sampled == b.sampled &&
           std::ssize(b.pages) >= pages && std::equal(a.pages.begin(), a.pages.begin() + pages, b.pages.begin());
  };
  return expected.model == plan.model &&
         std::equal(expected.slices.begin(), expected.slices.end(), plan.slices.begin(), plan.slices.end(), same);
}

}  // namespace

bool StepRunner::can_go_ahead(const RankContext& ctx) {
  return !ctx.ops.kernels().in_host_memory() && ctx.pp.sends_on_device() &&
         (ctx.tp.size() == 1 || ctx.tp.gathers_recordably());
}

StepRunner::StepRunner(Stage& stage, RowSampler* sampler, const RankContext& ctx, bool stages_go_ahead)
    : stage_(stage),
      sampler_(sampler),
      ctx_(ctx),
      shares_(vocabulary_shares(stage.config(), ctx.tp.size())),
      goes_ahead_(ctx.pp.size() == 1 || stages_go_ahead) {}

// The same on every rank: stages before the last know the tokens only of a step that was begun ahead.
bool StepRunner::goes_on(const StepPlan& plan) {
  if (!expected_ || !alike(*expected_, plan)) {
    return false;
  }
  if (ctx_.pp.size() > 1 && !ahead_) {
    return true;
  }
  return std::ranges::equal(plan.tokens, sampler_ != nullptr ? std::span<const int32_t>(tokens_)
                                                             : stage_.read_tokens(std::ssize(plan.tokens), ctx_));
}

StepResult StepRunner::run(const StepPlan& plan) {
  const bool follows = goes_on(plan);
  const Begun step = follows && ahead_ ? std::move(*ahead_) : begin(plan);
  ahead_.reset();
  expected_ = is_drawn(plan, step) ? plan_behind(plan) : std::nullopt;
  if (follows && expected_) {
    ahead_ = begin_behind(*expected_, step.drawn.get());
  }
  return finish(step, plan);
}

// The same on every rank: whether the devices choose the tokens of this step, and may go on from them.
bool StepRunner::is_drawn(const StepPlan& plan, const Begun& step) const {
  if (ctx_.pp.size() == 1) {
    return step.drawn != nullptr;
  }
  const bool drawn = goes_ahead_ && can_be_drawn(plan, shares_);
  LONGSHIP_CHECK(sampler_ == nullptr || !drawn || step.drawn != nullptr, "all ranks know what the devices choose");
  return drawn;
}

StepRunner::Begun StepRunner::begin(const StepPlan& plan) {
  Begun step{.logits = stage_.execute(plan, ctx_)};
  draw(plan, step);
  return step;
}

StepRunner::Begun StepRunner::begin_behind(const StepPlan& plan, DrawnTokens* drawn) {
  Begun step{.logits = stage_.execute_behind(plan, ctx_, drawn)};
  draw(plan, step);
  return step;
}

void StepRunner::draw(const StepPlan& plan, Begun& step) {
  if (sampler_ != nullptr && goes_ahead_) {
    step.drawn = sampler_->draw(plan, step.logits, ctx_.tp, ctx_.ops.kernels(), ctx_.stream);
  }
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
