#include "launcher/generate/prompt_text.h"

#include <algorithm>

#include "core/utf8.h"

namespace longship {

namespace {

// A noncharacter of Unicode (U+FDD0): put inside what looks like a special token in a user's text, it keeps the two
// halves apart until they are encoded, each by itself.
constexpr std::string_view kBreak = "\xef\xb7\x90";

void erase_all(std::string& text, std::string_view part) {
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at)) {
    text.erase(at, part.size());
  }
}

std::vector<std::string> special_texts(const Tokenizer& tokenizer) {
  std::vector<std::string> texts;
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    if (tokenizer.is_special(id) && tokenizer.bytes_of(id).size() > 1) {
      texts.emplace_back(tokenizer.bytes_of(id));
    }
  }
  return texts;
}

}  // namespace

PromptText::PromptText(std::shared_ptr<const Tokenizer> tokenizer)
    : tokenizer_(std::move(tokenizer)), special_texts_(special_texts(*tokenizer_)) {}

std::string PromptText::guard(std::string_view text) const {
  std::string result(text);
  erase_all(result, kBreak);
  for (const std::string& special : special_texts_) {
    const std::size_t first = std::max<std::size_t>(1, utf8_sequence_length(special));
    for (std::size_t at = result.find(special); at != std::string::npos && first < special.size();
         at = result.find(special, at)) {
      result.insert(at + first, kBreak);
    }
  }
  return result;
}

void PromptText::encode(std::string_view rendered, std::vector<int32_t>& ids) const {
  while (!rendered.empty()) {
    const std::size_t end = rendered.find(kBreak);
    const std::vector<int32_t> part =
        tokenizer_->encode(rendered.substr(0, end), {.add_special = false, .parse_special = true});
    ids.insert(ids.end(), part.begin(), part.end());
    rendered.remove_prefix(end == std::string_view::npos ? rendered.size() : end + kBreak.size());
  }
}

}  // namespace longship
