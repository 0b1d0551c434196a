#include "launcher/generate/stop_matcher.h"

#include <algorithm>

#include "engine/text/reply/marks.h"

namespace longship {

StopMatcher::StopMatcher(std::vector<std::string> stops, bool show_stop)
    : stops_(std::move(stops)), show_stop_(show_stop) {
  std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
}

std::string StopMatcher::push(std::string_view text) {
  if (stopped()) {
    return {};
  }
  held_ += text;
  const std::size_t stop = first_stop();
  std::string result;
  if (stopped()) {
    result = held_.substr(0, show_stop_ ? stop + found_.size() : stop);
    held_.clear();
  } else {
    result = held_.substr(0, held_.size() - held_size());
    held_.erase(0, result.size());
  }
  return result;
}

std::string StopMatcher::flush() {
  std::string rest;
  rest.swap(held_);
  return rest;
}

// Where the first stop string begins; notes which one it is.
std::size_t StopMatcher::first_stop() {
  std::size_t first = std::string::npos;
  for (const std::string& stop : stops_) {
    const std::size_t at = held_.find(stop);
    if (at < first) {
      first = at;
      found_ = stop;
    }
  }
  return first;
}

// Length of the longest end of held_ that begins a stop string.
std::size_t StopMatcher::held_size() const {
  std::size_t longest = 0;
  for (const std::string& stop : stops_) {
    longest = std::max(longest, begun_bytes(held_, stop));
  }
  return longest;
}

}  // namespace longship
