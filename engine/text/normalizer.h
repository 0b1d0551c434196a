#pragma once

#include <string>
#include <vector>

namespace longship {

/// What is done to text before it is cut: Unicode normal forms and lower case, in order. Immutable once filled.
class Normalizer {
 public:
  enum class Step : uint8_t { kNfc, kNfd, kNfkc, kNfkd, kLowercase };

  void add(Step step) { steps_.push_back(step); }
  bool empty() const { return steps_.empty(); }
  /// `text` is well-formed UTF-8.
  std::string normalize(std::string text) const;

 private:
  std::vector<Step> steps_;
};

}  // namespace longship
