#pragma once

#include <cstdint>
#include <span>

#include "engine/sample/logprobs.h"

namespace longship {

/// -ln of the probability that softmax(logits) gives to `token`, in double.
double negative_log_likelihood(std::span<const float> logits, int32_t token);

/// What a row of logits says of a token, and of the `count` most probable ones: the lowest of equals first.
PositionLogprobs position_logprobs(std::span<const float> logits, int32_t token, int64_t count);

}  // namespace longship
