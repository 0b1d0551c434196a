#include "launcher/stop_matcher.h"

#include <algorithm>

namespace longship {

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
}

std::string StopMatcher::push(std::string_view text) {
  if (stopped_) {
    return {};
  }
  held_ += text;
  const std::size_t stop = first_stop();
  stopped_ = stop != std::string::npos;
  const std::size_t shown = stopped_ ? stop : held_.size() - held_size();
  std::string result = held_.substr(0, shown);
  held_.erase(0, stopped_ ? std::string::npos : shown);
  return result;
}

std::string StopMatcher::flush() {
  std::string rest;
  rest.swap(held_);
  return rest;
}

std::size_t StopMatcher::first_stop() const {
  std::size_t first = std::string::npos;
  for (const std::string& stop : stops_) {
    first = std::min(first, held_.find(stop));
  }
  return first;
}

// Length of the longest end of held_ that begins a stop string.
std::size_t StopMatcher::held_size() const {
  std::size_t longest = 0;
  for (const std::string& stop : stops_) {
    std::size_t length = std::min(stop.size() - 1, held_.size());
    while (length > longest && !held_.ends_with(std::string_view(stop).substr(0, length))) {
      --length;
    }
    longest = std::max(longest, length);
  }
  return longest;
}

}  // namespace longship
