#include "engine/sample/grammar/marked_text.h"

#include <algorithm>
#include <map>
#include <string_view>

#include "core/error.h"
#include "engine/sample/grammar/grammar_spec.h"

namespace longship {

namespace {

constexpr std::size_t kLongestMark = 64;

}  // namespace

MarkedText::MarkedText(Grammar& grammar, const std::string& mark, RuleId behind, bool may_end)
    : grammar_(grammar),
      special_(mark.starts_with(kSpecialByte)),
      mark_(mark.substr(special_ ? 1 : 0)),
      behind_(behind),
      may_end_(may_end) {
  if (mark_.empty() || mark_.size() > kLongestMark) {
    refuse_grammar("the mark in a text must have 1 to " + std::to_string(kLongestMark) + " bytes");
  }
  for (std::size_t known = 0; known < mark_.size(); ++known) {
    states_.push_back(grammar.add_rule("text " + std::to_string(known), true));
  }
  for (std::size_t known = 0; known < mark_.size(); ++known) {
    grammar.define(states_[known], goes_on(known, ByteSet::range(0, 255)));
  }
}

ExprId MarkedText::behind(std::string_view beginning, const ByteSet& first) {
  std::size_t known = 0;
  for (const char c : beginning) {
    known = bytes_of_mark(known, c);
    LONGSHIP_CHECK(known < mark_.size(), "the beginning of a text has no mark");
  }
  return goes_on(known, first);
}

// How many bytes of the mark the text ends with once `c` follows `known` of them (Knuth, Morris, Pratt 1977; marks are
// short).
std::size_t MarkedText::bytes_of_mark(std::size_t known, char c) const {
  const std::string text = mark_.substr(0, known) + c;
  std::size_t length = std::min(text.size(), mark_.size());
  while (!text.ends_with(std::string_view(mark_).substr(0, length))) {
    --length;
  }
  return length;
}

// Behind `known` bytes of the mark: the end, or one byte of `allowed` and what it leads to, or the mark as a token.
ExprId MarkedText::goes_on(std::size_t known, const ByteSet& allowed) {
  std::map<std::size_t, ByteSet> steps;
  for (unsigned c = 0; c < 256; ++c) {
    const auto byte = static_cast<char>(c);
    if (allowed.has(static_cast<uint8_t>(c)) && byte != kSpecialByte) {
      steps[bytes_of_mark(known, byte)].add(static_cast<uint8_t>(c));
    }
  }
  std::vector<ExprId> choices;
  if (may_end_) {
    choices.push_back(grammar_.empty());
  }
  for (const auto& [length, set] : steps) {
    const bool whole = length == mark_.size();
    if (!whole || !special_) {
      choices.push_back(grammar_.sequence({grammar_.bytes(set), grammar_.call(whole ? behind_ : states_[length])}));
    }
  }
  if (special_ && allowed.has(static_cast<uint8_t>(kSpecialByte))) {
    choices.push_back(grammar_.sequence({grammar_.literal(special_bytes(mark_)), grammar_.call(behind_)}));
  }
  return grammar_.choice(choices);
}

}  // namespace longship
