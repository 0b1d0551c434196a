#include "engine/schedule/prompt_lookup.h"

#include <algorithm>

namespace longship {

std::vector<int32_t> look_up(std::span<const int32_t> tokens, const PromptLookup& options, int64_t most) {
  const auto size = static_cast<int64_t>(tokens.size());
  int64_t best_match = options.least_match - 1;
  int64_t best_end = 0;
  for (int64_t end = size - 1; end > 0 && best_match < options.most_match; --end) {
    const auto longest = std::min(end, options.most_match);
    const auto here = tokens.first(static_cast<std::size_t>(end));
    const auto match = std::mismatch(here.rbegin(), here.rbegin() + longest, tokens.rbegin()).first - here.rbegin();
    if (match > best_match) {
      best_match = match;
      best_end = end;
    }
  }
  if (best_end == 0 || most <= 0) {
    return {};
  }
  const auto found = tokens.subspan(static_cast<std::size_t>(best_end));
  const auto count = std::min<std::size_t>(found.size(), static_cast<std::size_t>(most));
  return {found.begin(), found.begin() + static_cast<std::ptrdiff_t>(count)};
}

void DraftLength::verified(int64_t guessed, int64_t accepted) {
  if (accepted == guessed) {
    length_ = std::min(most_, 2 * length_);
  } else {
    length_ = std::max(accepted, length_ / 2);
  }
  if (accepted > 0) {
    next_pause_ = kFirstPause;
  }
  if (length_ == 0) {
    length_ = 1;
    pause_ = next_pause_;
    next_pause_ = std::min(2 * next_pause_, kLongestPause);
  }
}

void DraftLength::passed() {
  pause_ = std::max<int64_t>(0, pause_ - 1);
}

}  // namespace longship
