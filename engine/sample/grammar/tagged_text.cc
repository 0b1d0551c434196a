#include "engine/sample/grammar/tagged_text.h"

#include <algorithm>
#include <string_view>

#include "engine/sample/grammar/grammar_spec.h"
#include "engine/sample/grammar/json_schema.h"
#include "engine/sample/grammar/marked_text.h"

namespace longship {

namespace {

// The bytes of a TEXT of the spec.
std::string bytes_of(const Json& text) {
  if (text.is_string()) {
    return text.as_string();
  }
  if (text.is_array()) {
    std::string bytes;
    for (const Json& part : text.as_array()) bytes += bytes_of(part);
    return bytes;
  }
  const Json* special = text.find("special");
  return special != nullptr && special->is_string() ? special_bytes(special->as_string()) : std::string();
}

std::string text_of(const Json& object, const char* member) {
  const Json* text = object.find(member);
  return text != nullptr ? bytes_of(*text) : std::string();
}

uint32_t count_of(const Json& object, const char* member, uint32_t missing) {
  const Json* count = object.find(member);
  return count != nullptr && count->is_int() && count->as_int() >= 0 && count->as_int() < kUnbounded
             ? static_cast<uint32_t>(count->as_int())
             : missing;
}

constexpr std::string_view kSpaces = " \t\n\r";

ByteSet set_of(std::string_view chars) {
  ByteSet set;
  for (const char c : chars) set.add(static_cast<uint8_t>(c));
  return set;
}

ByteSet all_but(std::string_view chars) {
  const ByteSet excluded = set_of(chars);
  ByteSet set;
  for (unsigned c = 0; c < 256; ++c) {
    if (!excluded.has(static_cast<uint8_t>(c))) set.add(static_cast<uint8_t>(c));
  }
  return set;
}

// The beginning of a text that some readers take for something else than text: behind white space, an object is `tag`,
// and each of `never` is not there. So is an object behind a fence of code.
class TextBeginning {
 public:
  TextBeginning(Grammar& grammar, MarkedText& text, ExprId tag) : grammar_(grammar), text_(text), tag_(tag) {}

  ExprId without(std::vector<std::string> never) {
    std::erase(never, "");
    never.emplace_back(kFence);
    std::string firsts;
    std::vector<ExprId> choices;
    for (const std::string& word : never) {
      if (firsts.find(word[0]) != std::string::npos) {
        refuse_grammar("what a text never begins with must differ in its first byte");
      }
      firsts += word[0];
      choices.push_back(grammar_.sequence({grammar_.literal(word.substr(0, 1)), grammar_.call(rest_of(word, 1))}));
    }
    const RuleId begin = grammar_.add_rule("begin", true);
    choices.push_back(after_spaces(begin));
    choices.push_back(text_.from(all_but(std::string(kSpaces) + "{" + firsts)));
    choices.push_back(tag_);
    grammar_.define(begin, grammar_.choice(choices));
    return grammar_.call(begin);
  }

 private:
  static constexpr std::string_view kFence = "```json";

  ExprId after_spaces(RuleId rule) { return grammar_.sequence({grammar_.bytes(set_of(kSpaces)), grammar_.call(rule)}); }

  // Behind so many bytes of the word.
  RuleId rest_of(const std::string& word, std::size_t known) {
    const RuleId rule = grammar_.add_rule("begin " + word.substr(0, known), true);
    if (known == word.size()) {  // only of the fence
      grammar_.define(rule, grammar_.choice({after_spaces(rule), text_.from(all_but(std::string(kSpaces) + "{"))}));
      return rule;
    }
    const bool last = known + 1 == word.size() && word != kFence;
    const std::string next = word.substr(known, 1);
    const ExprId more = last ? grammar_.nothing()
                             : grammar_.sequence({grammar_.literal(next), grammar_.call(rest_of(word, known + 1))});
    grammar_.define(rule, grammar_.choice({text_.behind(word.substr(0, known), all_but(next)), more}));
    return rule;
  }

  Grammar& grammar_;
  MarkedText& text_;
  ExprId tag_;
};

// Text of any kind in which tags stand behind a mark, and nowhere else. What stands at the beginning may be read as a
// tag without its mark.
ExprId free_text(Grammar& grammar, const Json& free, const Json& spec, RuleId tag) {
  const std::string first = text_of(free, "first");
  const RuleId tags = grammar.add_rule("tags", true);
  MarkedText text(grammar, text_of(free, "mark"), tags, true);
  const bool once = count_of(spec, "most", kUnbounded) == 1;
  const ExprId more = grammar.sequence({grammar.literal(text_of(spec, "separator")), grammar.call(tags)});
  const ExprId behind = first == "tag" ? grammar.optional(more) : text.any();
  grammar.define(tags, once ? grammar.call(tag) : grammar.sequence({grammar.call(tag), behind}));
  if (first != "tag" && first != "text") {
    return text.any();
  }
  return TextBeginning(grammar, text, first == "tag" ? grammar.call(tags) : grammar.nothing())
      .without({text_of(free, "never")});
}

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
    grammar.define(root, free_text(grammar, *free, spec, tag));
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
