#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace longship {

/// Finds stop strings in text that comes in pieces, and never lets a part of one be shown: text that may be the
/// beginning of a stop string is held back until it is known.
class StopMatcher {
 public:
  /// Empty stop strings are ignored. `show_stop`: the text that may be shown ends with the stop string, not before it.
  explicit StopMatcher(std::vector<std::string> stops, bool show_stop = false);

  /// The text that may be shown now; after a stop string, only what stood before it.
  std::string push(std::string_view text);
  /// What is still held back, at the end of the text.
  std::string flush();
  bool stopped() const { return !found_.empty(); }
  /// The stop string that was met; of several at one place the first that was given.
  const std::string& found() const { return found_; }

 private:
  std::size_t first_stop();
  std::size_t held_size() const;

  std::vector<std::string> stops_;
  bool show_stop_;
  std::string held_;
  std::string found_;
};

}  // namespace longship
