#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/tokenizer.h"

namespace longship {

/// Text of users inside a rendered chat: what they write is never read as special tokens. Any thread may use it.
class PromptText {
 public:
  explicit PromptText(std::shared_ptr<const Tokenizer> tokenizer);

  /// A user's text, to be given to the template.
  std::string guard(std::string_view text) const;
  /// Appends the tokens of rendered text whose users' parts were guarded.
  void encode(std::string_view rendered, std::vector<int32_t>& ids) const;

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::vector<std::string> special_texts_;
};

}  // namespace longship
