#pragma once

#include <memory>
#include <span>

#include "engine/sample/grammar/token_masks.h"

namespace longship {

/// The place of one sequence in its grammar. Copies are independent and share what is known of the grammar. The thread
/// that made it may hand it on; after that all guides of one TokenMasks belong to one thread.
class Guide {
 public:
  explicit Guide(std::shared_ptr<TokenMasks> masks) : masks_(std::move(masks)), state_(masks_->automaton().start()) {}

  /// The tokens that may come next, of `vocab`; of `ends`, which end the text, those that may and no others: all of
  /// them where the text may end. Errors: kUsage if the grammar is too ambiguous to say.
  TokenSet allowed(std::span<const int32_t> ends, int64_t vocab) const;
  /// A token was chosen. Errors: kUsage if it was not allowed, or the grammar is too ambiguous to go on.
  void accept(int32_t token);
  bool may_end() const { return state_.may_end; }
  /// Nothing can follow.
  bool must_end() const { return state_.threads.empty(); }

 private:
  std::shared_ptr<TokenMasks> masks_;
  GrammarState state_;
};

}  // namespace longship
