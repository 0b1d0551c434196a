#include "engine/text/added_tokens.h"

#include <algorithm>

#include "engine/text/unicode.h"

namespace longship {

namespace {

bool is_word_character(int32_t c) {
  return c == '_' || is_letter(c) || is_number(c);
}

}  // namespace

void AddedTokens::add(AddedToken token) {
  std::vector<std::size_t>& same = by_first_byte_[token.content.front()];
  const auto longer = [&](std::size_t i) { return tokens_[i].content.size() >= token.content.size(); };
  same.insert(std::partition_point(same.begin(), same.end(), longer), tokens_.size());
  tokens_.push_back(std::move(token));
}

const AddedToken* AddedTokens::match_at(std::string_view text, std::size_t at, bool normalized,
                                        bool parse_special) const {
  const auto same = by_first_byte_.find(text[at]);
  if (same == by_first_byte_.end()) {
    return nullptr;
  }
  for (const std::size_t i : same->second) {
    const AddedToken& token = tokens_[i];
    if (token.normalized != normalized || (token.special && !parse_special) ||
        text.substr(at, token.content.size()) != token.content) {
      continue;
    }
    const bool touched = token.single_word && (is_word_character(code_point_before(text, at).value) ||
                                               is_word_character(code_point_at(text, at + token.content.size()).value));
    if (!touched) {
      return &token;
    }
  }
  return nullptr;
}

std::vector<AddedTokens::Part> AddedTokens::split(std::string_view text, bool normalized, bool parse_special) const {
  std::vector<Part> parts;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const AddedToken* token = match_at(text, at, normalized, parse_special);
    if (token == nullptr) {
      ++at;
      continue;
    }
    std::size_t first = at;
    std::size_t last = at + token->content.size();
    while (token->lstrip && first > begin && is_space(code_point_before(text, first).value)) {
      first -= code_point_before(text, first).length;
    }
    while (token->rstrip && is_space(code_point_at(text, last).value)) {
      last += code_point_at(text, last).length;
    }
    if (first > begin) {
      parts.push_back({-1, text.substr(begin, first - begin)});
    }
    parts.push_back({token->id, text.substr(first, last - first)});
    begin = at = last;
  }
  if (begin < text.size()) {
    parts.push_back({-1, text.substr(begin)});
  }
  return parts;
}

}  // namespace longship
