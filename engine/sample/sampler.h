#pragma once

#include <cstdint>
#include <span>

#include "engine/engine.h"
#include "engine/sample/grammar/token_set.h"

namespace longship {

/// Chooses the next token from a row of logits. `prompt` and `output` are the tokens so far; `output.size()` is the
/// index by which the random number is drawn, so the same request draws the same numbers wherever it runs.
///
/// Order, as in vLLM: biases; repetition, frequency and presence penalties; temperature; min-p; top-k; top-p. Ties go
/// to the lowest id. Temperature 0 takes the largest logit after the penalties. Never chosen are `banned` tokens, those
/// outside allowed_ids if there are any, the last token of a bad word whose others end the output, and what is not in
/// `allowed`, if that is there. Something must be left.
int32_t sample(std::span<const float> logits, std::span<const int32_t> prompt, std::span<const int32_t> output,
               const SamplingParams& params, std::span<const int32_t> banned = {}, const TokenSet* allowed = nullptr);

/// Index of the largest value, the lowest of equals.
int32_t argmax(std::span<const float> values);

}  // namespace longship
