#pragma once

#include "engine/sample/row_edits.h"
#include "engine/sample/sampler.h"

namespace longship {

/// The token that a request gets from a whole row of logits, behind these tokens.
inline int32_t sample(std::span<const float> logits, std::span<const int32_t> prompt, std::span<const int32_t> output,
                      const SamplingParams& params, std::span<const int32_t> banned = {}) {
  return choose(sampled_row(params, prompt, output, std::ssize(logits), banned), logits).token;
}

}  // namespace longship
