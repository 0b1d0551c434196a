#include "engine/sample/grammar/tagged_text.h"

#include <algorithm>
#include <map>

#include "engine/sample/grammar/json_schema.h"

namespace longship {

namespace {

constexpr std::size_t kLongestMark = 64;

std::string text_of(const Json& object, const char* member) {
  const Json* text = object.find(member);
  return text != nullptr && text->is_string() ? text->as_string() : std::string();
}

uint32_t count_of(const Json& object, const char* member, uint32_t missing) {
  const Json* count = object.find(member);
  return count != nullptr && count->is_int() && count->as_int() >= 0 && count->as_int() < kUnbounded
             ? static_cast<uint32_t>(count->as_int())
             : missing;
}

ByteSet byte(char c) {
  return ByteSet::range(static_cast<uint8_t>(c), static_cast<uint8_t>(c));
}

// How many bytes of the mark the text ends with once `c` follows `known` of them (Knuth, Morris, Pratt 1977; marks are
// short).
std::size_t bytes_of_mark(const std::string& mark, std::size_t known, char c) {
  const std::string text = mark.substr(0, known) + c;
  std::size_t length = std::min(text.size(), mark.size());
  while (!text.ends_with(std::string_view(mark).substr(0, length))) {
    --length;
  }
  return length;
}

// Text of any kind in which tags stand behind a mark, and nowhere else.
class FreeText {
 public:
  FreeText(Grammar& grammar, const Json& free, const Json& spec, RuleId tag)
      : grammar_(grammar), mark_(text_of(free, "mark")), first_(text_of(free, "first")), tag_(tag) {
    if (mark_.empty() || mark_.size() > kLongestMark) {
      refuse_grammar("the mark of tags in a text must have 1 to " + std::to_string(kLongestMark) + " bytes");
    }
    for (std::size_t known = 0; known < mark_.size(); ++known) {
      states_.push_back(grammar.add_rule("text " + std::to_string(known), true));
    }
    tags_ = grammar.add_rule("tags", true);
    const bool once = count_of(spec, "most", kUnbounded) == 1;
    const ExprId more = grammar.sequence({grammar.literal(text_of(spec, "separator")), grammar.call(tags_)});
    const ExprId behind = first_ == "tag" ? grammar.optional(more) : grammar.call(states_[0]);
    grammar.define(tags_, once ? grammar.call(tag_) : grammar.sequence({grammar.call(tag_), behind}));
    for (std::size_t known = 0; known < mark_.size(); ++known) {
      grammar.define(states_[known], goes_on(known, ByteSet::range(0, 255)));
    }
  }

  // What stands at the beginning may be read as a tag without its mark.
  ExprId whole() {
    if (first_ != "tag" && first_ != "text") {
      return grammar_.call(states_[0]);
    }
    const RuleId begin = grammar_.add_rule("begin", true);
    ByteSet spaces;
    for (const char c : {' ', '\t', '\n', '\r'}) spaces.add(static_cast<uint8_t>(c));
    ByteSet others;
    for (unsigned c = 0; c < 256; ++c) {
      if (!spaces.has(static_cast<uint8_t>(c)) && c != '{') others.add(static_cast<uint8_t>(c));
    }
    grammar_.define(
        begin, grammar_.choice({grammar_.sequence({grammar_.bytes(spaces), grammar_.call(begin)}), goes_on(0, others),
                                first_ == "tag" ? grammar_.call(tags_) : grammar_.nothing()}));
    return grammar_.call(begin);
  }

 private:
  // Behind `known` bytes of the mark: the end, or one byte of `allowed` and what it leads to.
  ExprId goes_on(std::size_t known, const ByteSet& allowed) {
    std::map<std::size_t, ByteSet> steps;
    for (unsigned c = 0; c < 256; ++c) {
      if (!allowed.has(static_cast<uint8_t>(c))) continue;
      steps[bytes_of_mark(mark_, known, static_cast<char>(c))].add(static_cast<uint8_t>(c));
    }
    std::vector<ExprId> choices = {grammar_.empty()};
    for (const auto& [length, set] : steps) {
      const RuleId next = length == mark_.size() ? tags_ : states_[length];
      choices.push_back(grammar_.sequence({grammar_.bytes(set), grammar_.call(next)}));
    }
    return grammar_.choice(choices);
  }

  Grammar& grammar_;
  std::string mark_;
  std::string first_;
  RuleId tag_;
  RuleId tags_ = 0;
  std::vector<RuleId> states_;  ///< By how much of the mark the text ends with.
};

}  // namespace

Grammar tagged_grammar(const Json& spec) {
  const Json* tags = spec.find("tags");
  Grammar grammar;
  const RuleId root = grammar.add_rule("root");
  std::vector<ExprId> alternatives;
  for (const Json& tag : tags != nullptr && tags->is_array() ? tags->as_array() : Json::Array{}) {
    const Json* schema = tag.find("schema");
    alternatives.push_back(grammar.sequence({grammar.literal(text_of(tag, "begin")),
                                             add_json_schema(grammar, schema == nullptr ? Json(true) : *schema),
                                             grammar.literal(text_of(tag, "end"))}));
  }
  const RuleId tag = grammar.add_rule("tag");
  grammar.define(tag, grammar.choice(alternatives));
  if (const Json* free = spec.find("free"); free != nullptr) {
    grammar.define(root, FreeText(grammar, *free, spec, tag).whole());
    return grammar;
  }
  const uint32_t least = count_of(spec, "least", 1);
  const uint32_t most = count_of(spec, "most", kUnbounded);
  const ExprId more = grammar.sequence({grammar.literal(text_of(spec, "separator")), grammar.call(tag)});
  const ExprId all =
      grammar.sequence({grammar.call(tag), grammar.repeat(more, std::max(least, 1U) - 1,
                                                          most == kUnbounded ? most : std::max(most, 1U) - 1)});
  grammar.define(root, least == 0 ? grammar.optional(all) : all);
  return grammar;
}

}  // namespace longship
