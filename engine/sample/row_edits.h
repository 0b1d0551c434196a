#pragma once

#include <cstdint>
#include <span>

#include "engine/engine.h"
#include "engine/schedule/sampled_row.h"

namespace longship {

/// How the next token of a request is chosen. `prompt` and `output` are the tokens so far; `output.size()` is the index
/// by which the random number is drawn, so the same request draws the same numbers wherever it runs. Beside the tokens
/// that `params` forbids, none of `banned` is chosen, and nothing outside `allowed` if that is there; `vocab` tokens
/// there are.
SampledRow sampled_row(const SamplingParams& params, std::span<const int32_t> prompt, std::span<const int32_t> output,
                       int64_t vocab, std::span<const int32_t> banned = {}, const TokenSet* allowed = nullptr);

/// Changes the logits of the tokens from `first` on as the row says; what is never chosen becomes -infinity.
void apply_edits(const SampledRow& row, int64_t first, std::span<float> logits);

}  // namespace longship
