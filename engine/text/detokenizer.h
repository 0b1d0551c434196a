#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/text/tokenizer.h"

namespace longship {

/// Turns a stream of tokens into text as it comes, never half a character. One a stream; not synchronised.
class Detokenizer {
 public:
  /// `skip_special`: special tokens show nothing, but for those of `shown`.
  explicit Detokenizer(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special = true,
                       std::vector<int32_t> shown = {})
      : tokenizer_(std::move(tokenizer)), skip_special_(skip_special), shown_(std::move(shown)) {}

  /// All complete characters so far that were not returned before.
  std::string push(int32_t id);
  /// What is left at the end: U+FFFD for a character that was cut.
  std::string flush();

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  bool skip_special_;
  std::vector<int32_t> shown_;
  std::string held_;  ///< The beginning of a character.
};

}  // namespace longship
