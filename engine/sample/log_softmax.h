#pragma once

#include <cstdint>
#include <span>

namespace longship {

/// -ln of the probability that softmax(logits) gives to `token`, in double.
double negative_log_likelihood(std::span<const float> logits, int32_t token);

}  // namespace longship
