#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/model/stage.h"
#include "engine/sample/row_sampler.h"

namespace longship {

/// Runs the plans of one model on this rank: its stage, then what chooses tokens.
///
/// On a device the host is a step behind where it can be: when a step of one row a sequence, whose tokens the device
/// chooses for certain, goes on from the one before, the step that would go on from it is put on the stream as well,
/// fed with these tokens on the device, before they are read. If the next plan asks for just that step, its result is
/// under way; else it is dropped, and nothing depends on it: the keys and values that it stored lie behind the ends of
/// their sequences, where they are written again before anything reads them.
///
/// Ranks do so together: all begin the same steps, and drop the same, without a word between their hosts. Devices that
/// share each layer choose the same tokens; from the last stage these go to the first on the devices, and on to those
/// between, which look at them later. Where the host carries what ranks exchange, no step is begun ahead.
class StepRunner {
 public:
  /// Whether this rank could begin steps ahead with several stages; they do so if all ranks can.
  static bool can_go_ahead(const RankContext& ctx);

  /// `sampler`: null but on the last stage. All outlive the runner. `stages_go_ahead`: the same on every rank; says
  /// nothing where there is one stage.
  StepRunner(Stage& stage, RowSampler* sampler, const RankContext& ctx, bool stages_go_ahead = false);

  /// The result's rows are valid until the next call. On ranks that do not lead, a result says nothing.
  StepResult run(const StepPlan& plan);
  /// What its steps run in; lives as long as the runner.
  RankContext& context() { return ctx_; }

 private:
  /// A step on the stream.
  struct Begun {
    Tensor logits{};
    std::unique_ptr<DrawnTokens> drawn{};  // null where the host chooses
  };

  bool goes_on(const StepPlan& plan);
  bool is_drawn(const StepPlan& plan, const Begun& step) const;
  Begun begin(const StepPlan& plan);
  Begun begin_behind(const StepPlan& plan, DrawnTokens* drawn);
  void draw(const StepPlan& plan, Begun& step);
  StepResult finish(const Begun& step, const StepPlan& plan);

  Stage& stage_;
  RowSampler* sampler_;
  RankContext ctx_;
  std::vector<Range> shares_;
  bool goes_ahead_;
  std::optional<StepPlan> expected_;  // what would go on from the step before, but for the tokens ...
  std::vector<int32_t> tokens_;       // ... which the device chose; on the last stage
  std::optional<Begun> ahead_;        // that step
};

}  // namespace longship
