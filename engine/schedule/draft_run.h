#pragma once

#include <span>

#include "engine/schedule/sequence.h"
#include "engine/schedule/step_plan.h"
#include "engine/schedule/step_result.h"

namespace longship {

/// Adds a slice of at most `room` rows to a plan of the draft model: what the model has not run yet of the sequence's
/// tokens and guesses, and how the next guess is chosen behind them, just as the target will choose. False, with
/// nothing added, if the sequence has the guesses that it wants.
bool add_draft_slice(Sequence& sequence, int64_t room, int64_t vocab, StepPlan& plan);
/// Takes the result of such a slice: a guess, or none yet.
void take_draft(Sequence& sequence, std::span<const RowChoice> choices);
/// The guesses have been held against the target, which has run on to sequence.computed.
void end_drafts(Sequence& sequence);

}  // namespace longship
