#include "engine/sample/log_softmax.h"

#include <algorithm>
#include <cmath>

namespace longship {

double negative_log_likelihood(std::span<const float> logits, int32_t token) {
  const double largest = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0;
  for (const float logit : logits) {
    sum += std::exp(static_cast<double>(logit) - largest);
  }
  return largest + std::log(sum) - static_cast<double>(logits[static_cast<std::size_t>(token)]);
}

}  // namespace longship
