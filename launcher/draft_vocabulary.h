#pragma once

#include <span>

#include "engine/model/checkpoint.h"

namespace longship {

/// Whether a draft model's tokens are those of the model that it guesses for: the same ids must stand for the same
/// texts. Tokens that either has for marks, or has not, may differ, as those of a model and of one trained further do.
/// Without a tokenizer in one of them there is nothing to compare. Takes tenths of a second for large vocabularies.
/// Errors: kUsage, naming the first token that differs.
void check_draft_vocabulary(const Checkpoint& target, std::span<const MetadataOverride> target_overrides,
                            const Checkpoint& draft);

}  // namespace longship
