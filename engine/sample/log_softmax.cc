#include "engine/sample/log_softmax.h"

#include <algorithm>
#include <cmath>

#include "engine/sample/row_summary.h"

namespace longship {

double negative_log_likelihood(std::span<const float> logits, int32_t token) {
  const double largest = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0;
  for (const float logit : logits) {
    sum += std::exp(static_cast<double>(logit) - largest);
  }
  return largest + std::log(sum) - static_cast<double>(logits[static_cast<std::size_t>(token)]);
}

PositionLogprobs position_logprobs(std::span<const float> logits, int32_t token, int64_t count) {
  const double total = log_sum_exp(logits);
  const auto logprob = [total](float logit) { return static_cast<float>(static_cast<double>(logit) - total); };
  const float own = logits[static_cast<std::size_t>(token)];
  PositionLogprobs result;
  result.logprob = logprob(own);
  result.rank =
      static_cast<int32_t>(std::count_if(logits.begin(), logits.end(), [own](float logit) { return logit >= own; }));
  for (const Candidate& candidate : best_candidates(logits, logits, 0, count)) {
    result.top.push_back({candidate.token, logprob(candidate.raw)});
  }
  return result;
}

}  // namespace longship
