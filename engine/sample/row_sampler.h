#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "comm/communicator.h"
#include "core/range.h"
#include "engine/backend/kernels.h"
#include "engine/sample/sampler.h"
#include "engine/schedule/step_plan.h"
#include "engine/schedule/step_result.h"

namespace longship {

/// Whether devices that can choose, and whose ranks have these shares of the vocabulary, choose all tokens of a plan
/// for certain.
bool can_be_drawn(const StepPlan& plan, std::span<const Range> shares);

/// Chooses tokens from logits whose vocabulary is cut over the ranks of a group, of which rank 0 leads. Each rank edits
/// its part of a row as the plan says and sends what it comes to: best candidates, and sums of blocks. The leader
/// merges them. Where the logits are on devices that can choose, and can bring each other what they find, these choose
/// from rows without edits and logprobs, each of the group the same, and only the tokens come to the host. A whole row
/// travels only where the plan wants the row
/// itself or a choice that no summary allows, or where the leader finds a summary too short: it tells the others, in
/// plans where that may happen.
class RowSampler {
 public:
  /// Vocabulary of each rank of the group, one after the other; at most so many rows of logits has a step.
  RowSampler(std::vector<Range> shares, int rank, int64_t most_rows);

  std::span<const Range> shares() const { return shares_; }
  /// Host memory that allocate() takes.
  int64_t bytes() const;
  void allocate();
  /// All ranks of the group together: `logits` [plan.logit_rows(), this rank's share] on the device of `kernels`. The
  /// leader's result holds choices and rows, which are valid until the next call.
  StepResult sample(const StepPlan& plan, const Tensor& logits, Communicator& group, Kernels& kernels, Stream& stream);
  /// The choices of a plan whose every row the devices choose from for certain; null, on every rank, where that is not
  /// so. All ranks of the group together, and each gets all choices.
  std::unique_ptr<DrawnTokens> draw(const StepPlan& plan, const Tensor& logits, Communicator& group, Kernels& kernels,
                                    Stream& stream) const;

 private:
  class Step;
  struct Buffer {
    int64_t values = 0;
    Tensor memory{};
  };

  bool leads() const { return rank_ == 0; }
  bool can_be_drawn_from_shares(const SampledRow& row) const;
  std::unique_ptr<DrawnTokens> draw(const std::vector<TokenDraw>& draws, const Tensor& logits, Communicator& group,
                                    Kernels& kernels, Stream& stream) const;
  const Range& share() const { return shares_[static_cast<std::size_t>(rank_)]; }

  std::vector<Range> shares_;
  int rank_;
  int64_t vocab_;
  bool cuts_blocks_;  ///< Sums over blocks cannot be put together from what the ranks have.
  Buffer raw_;        ///< Of one row, this rank's logits ...
  Buffer edited_;     ///< ... and these behind the edits.
  Buffer message_;    ///< Summaries of this rank ...
  Buffer messages_;   ///< ... and, for the leader, of all.
  Buffer row_;        ///< Of the leader: one whole row ...
  Buffer rows_;       ///< ... and those that the plan wants.
};

}  // namespace longship
