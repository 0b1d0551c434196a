#include "engine/sample/grammar/tagged_text.h"

#include <algorithm>

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
  const RuleId begin = grammar.add_rule("begin", true);
  ByteSet spaces;
  for (const char c : {' ', '\t', '\n', '\r'}) spaces.add(static_cast<uint8_t>(c));
  ByteSet others;
  for (unsigned c = 0; c < 256; ++c) {
    if (!spaces.has(static_cast<uint8_t>(c)) && c != '{') others.add(static_cast<uint8_t>(c));
  }
  grammar.define(begin, grammar.choice({grammar.sequence({grammar.bytes(spaces), grammar.call(begin)}),
                                        text.from(others), first == "tag" ? grammar.call(tags) : grammar.nothing()}));
  return grammar.call(begin);
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
