#include "launcher/eval/prompt_score.h"

#include "engine/sample/log_softmax.h"

namespace longship {

void PromptScore::add(int64_t first, std::span<const float> logits) {
  const auto vocab = static_cast<std::size_t>(vocab_);
  const auto end = static_cast<int64_t>(ids_.size());
  for (int64_t next = first + 1; logits.size() >= vocab; ++next, logits = logits.subspan(vocab)) {
    if (next >= first_scored_ && next < end) {
      const double nll = negative_log_likelihood(logits.first(vocab), ids_[static_cast<std::size_t>(next)]);
      sum_ += nll;
      sum_of_squares_ += nll * nll;
      ++scored_;
    }
  }
}

}  // namespace longship
