#include "engine/sample/log_softmax.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace longship {

double log_sum_exp(std::span<const float> logits) {
  const double largest = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0;
  for (const float logit : logits) {
    sum += std::exp(static_cast<double>(logit) - largest);
  }
  return largest + std::log(sum);
}

double negative_log_likelihood(std::span<const float> logits, int32_t token) {
  return log_sum_exp(logits) - static_cast<double>(logits[static_cast<std::size_t>(token)]);
}

namespace {

std::vector<int32_t> most_probable(std::span<const float> logits, int64_t count) {
  std::vector<int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto end = ids.begin() + std::clamp<std::ptrdiff_t>(count, 0, std::ssize(ids));
  std::partial_sort(ids.begin(), end, ids.end(), [&](int32_t a, int32_t b) {
    const float x = logits[static_cast<std::size_t>(a)];
    const float y = logits[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  });
  ids.erase(end, ids.end());
  return ids;
}

}  // namespace

PositionLogprobs position_logprobs(std::span<const float> logits, int32_t token, int64_t count) {
  const double total = log_sum_exp(logits);
  const auto logprob = [&](int32_t id) {
    return static_cast<float>(static_cast<double>(logits[static_cast<std::size_t>(id)]) - total);
  };
  const float own = logits[static_cast<std::size_t>(token)];
  PositionLogprobs result;
  result.logprob = logprob(token);
  result.rank =
      static_cast<int32_t>(std::count_if(logits.begin(), logits.end(), [own](float logit) { return logit >= own; }));
  if (count > 0) {
    for (const int32_t id : most_probable(logits, count)) {
      result.top.push_back({id, logprob(id)});
    }
  }
  return result;
}

}  // namespace longship
