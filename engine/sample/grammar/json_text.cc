#include "engine/sample/grammar/json_text.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/json.h"

namespace longship {

namespace {

using Ranges = std::vector<CodePointSet::Range>;

constexpr uint32_t kMostIndent = 32;

ExprId bytes_of(Grammar& grammar, std::string_view bytes) {
  ByteSet set;
  for (const char byte : bytes) {
    set.add(static_cast<uint8_t>(byte));
  }
  return grammar.bytes(set);
}

ExprId digits(Grammar& grammar, uint32_t least, uint32_t most) {
  return grammar.repeat(grammar.bytes(ByteSet::range('0', '9')), least, most);
}

ExprId hex(Grammar& grammar, uint32_t count) {
  return grammar.repeat(bytes_of(grammar, "0123456789abcdefABCDEF"), count, count);
}

const CodePointSet& plain_chars() {
  static const CodePointSet kPlain = CodePointSet(Ranges{{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}).complement();
  return kPlain;
}

struct ShortEscape {
  uint32_t code_point;
  char letter;
};
constexpr std::array<ShortEscape, 7> kShortEscapes = {
    {{'"', '"'}, {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'}, {'\n', 'n'}, {'\r', 'r'}, {'\t', 't'}}};

// \uXXXX, but no half of a surrogate pair alone.
ExprId unicode_escape(Grammar& grammar) {
  const ExprId backslash_u = grammar.literal("\\u");
  const ExprId d = bytes_of(grammar, "dD");
  const ExprId others = grammar.sequence({bytes_of(grammar, "0123456789abcefABCEF"), hex(grammar, 3)});
  const ExprId below = grammar.sequence({d, bytes_of(grammar, "01234567"), hex(grammar, 2)});
  const ExprId pair = grammar.sequence({d, bytes_of(grammar, "89abAB"), hex(grammar, 2), backslash_u, d,
                                        bytes_of(grammar, "cdefCDEF"), hex(grammar, 2)});
  return grammar.sequence({backslash_u, grammar.choice({others, below, pair})});
}

ExprId object_of(Grammar& grammar, const JsonText& text, ExprId pair) {
  const ExprId more = grammar.repeat(grammar.sequence({text.comma(), pair}), 0, kUnbounded);
  const ExprId members = grammar.optional(grammar.sequence({pair, more, text.gap()}));
  return grammar.sequence({grammar.literal("{"), text.gap(), members, grammar.literal("}")});
}

// The code points of JSON's names, so that those of one beginning are neighbours.
std::u32string code_points_of(std::string_view text) {
  std::u32string result;
  while (!text.empty()) {
    result.push_back(static_cast<char32_t>(take_code_point(text)));
  }
  return result;
}

}  // namespace

ExprId json_char_of(Grammar& grammar, const CodePointSet& set) {
  Ranges plain;
  ByteSet letters;
  std::array<ByteSet, 2> controls;  // by their first digit
  for (const auto& [first, last] : set.ranges()) {
    for (const auto& [from, to] : plain_chars().ranges()) {
      if (std::max(first, from) <= std::min(last, to)) {
        plain.emplace_back(std::max(first, from), std::min(last, to));
      }
    }
    for (const auto& [code_point, letter] : kShortEscapes) {
      if (first <= code_point && code_point <= last) {
        letters.add(static_cast<uint8_t>(letter));
      }
    }
    for (uint32_t control = first; control <= std::min(last, 0x1FU); ++control) {
      const bool is_short = std::any_of(kShortEscapes.begin(), kShortEscapes.end(),
                                        [&](const ShortEscape& escape) { return escape.code_point == control; });
      if (!is_short) {
        constexpr std::string_view kHex = "0123456789abcdef";
        controls.at(control / 16).add(static_cast<uint8_t>(kHex[control % 16]));
      }
    }
  }
  const ExprId code = grammar.choice({grammar.sequence({grammar.literal("0"), grammar.bytes(controls[0])}),
                                      grammar.sequence({grammar.literal("1"), grammar.bytes(controls[1])})});
  const ExprId escape = grammar.choice({grammar.bytes(letters), grammar.sequence({grammar.literal("u00"), code})});
  return grammar.choice(
      {grammar.sequence({grammar.literal("\\"), escape}), utf8_of(grammar, CodePointSet(std::move(plain)))});
}

JsonText::JsonText(Grammar& grammar) : grammar_(grammar) {
  const ExprId space = grammar.literal(" ");
  const ExprId line =
      grammar.sequence({grammar.literal("\n"), grammar.repeat(bytes_of(grammar, " \t"), 0, kMostIndent)});
  const RuleId gap = grammar.add_rule("gap", true);
  grammar.define(gap, grammar.choice({space, line, grammar.empty()}));
  gap_ = grammar.call(gap);
  comma_ = grammar.sequence({grammar.literal(","), gap_});
  colon_ = grammar.sequence({grammar.literal(":"), grammar.optional(space)});
}

ExprId JsonText::any_char() {
  if (!any_char_) {
    const ExprId escape = grammar_.sequence({grammar_.literal("\\"), bytes_of(grammar_, "\"\\/bfnrt")});
    any_char_ = grammar_.choice({utf8_of(grammar_, plain_chars()), escape, unicode_escape(grammar_)});
  }
  return *any_char_;
}

ExprId JsonText::quoted(ExprId content) {
  const ExprId quote = grammar_.literal("\"");
  return grammar_.sequence({quote, content, quote});
}

ExprId JsonText::string(uint32_t least, uint32_t most) {
  if (least == 0 && most == kUnbounded) {
    if (!string_) {
      string_ = grammar_.add_rule("string");
      grammar_.define(*string_, quoted(grammar_.repeat(any_char(), 0, kUnbounded)));
    }
    return grammar_.call(*string_);
  }
  return quoted(grammar_.repeat(any_char(), least, most));
}

ExprId JsonText::string_of(const std::string& text) {
  return grammar_.literal(dump_json(Json(text)));
}

ExprId JsonText::string_other_than(const std::vector<std::string>& names) {
  if (names.empty()) {
    return string();
  }
  constexpr std::size_t kMostLength = 500;
  std::vector<std::u32string> sorted;
  for (const std::string& name : names) {
    sorted.push_back(code_points_of(name));
    if (sorted.back().size() > kMostLength) {
      refuse_grammar("a name of more than " + std::to_string(kMostLength) +
                     " characters, beside which there may be others");
    }
  }
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  return quoted(other_than(sorted, 0));
}

// Strings that are none of the names, of which `offset` characters are read. Until they differ from all names
// characters are written in one way only, so that no escape hides a name.
ExprId JsonText::other_than(const std::vector<std::u32string>& names, std::size_t offset) {
  std::vector<ExprId> alternatives;
  Ranges known;
  auto next = names.begin();
  if (next->size() > offset) {
    alternatives.push_back(grammar_.empty());
  } else {
    ++next;
  }
  while (next != names.end()) {
    const char32_t c = (*next)[offset];
    const auto end = std::find_if(next, names.end(), [&](const auto& name) { return name[offset] != c; });
    known.emplace_back(c, c);
    alternatives.push_back(grammar_.sequence(
        {json_char_of(grammar_, CodePointSet(Ranges{{c, c}})), other_than(std::vector(next, end), offset + 1)}));
    next = end;
  }
  const ExprId rest = grammar_.repeat(any_char(), 0, kUnbounded);
  alternatives.push_back(
      grammar_.sequence({json_char_of(grammar_, CodePointSet(std::move(known)).complement()), rest}));
  return grammar_.choice(alternatives);
}

ExprId JsonText::integer() {
  constexpr uint32_t kMoreDigits = 17;  // within 64 bits
  const ExprId digit = grammar_.bytes(ByteSet::range('1', '9'));
  const ExprId other =
      grammar_.sequence({grammar_.optional(grammar_.literal("-")), digit, digits(grammar_, 0, kMoreDigits)});
  return grammar_.choice({grammar_.literal("0"), other});
}

ExprId JsonText::number() {
  const ExprId whole = grammar_.sequence({grammar_.bytes(ByteSet::range('1', '9')), digits(grammar_, 0, 15)});
  const ExprId fraction = grammar_.sequence({grammar_.literal("."), digits(grammar_, 1, 16)});
  const ExprId exponent = grammar_.sequence(
      {bytes_of(grammar_, "eE"), grammar_.optional(bytes_of(grammar_, "+-")), digits(grammar_, 1, 2)});
  return grammar_.sequence({grammar_.optional(grammar_.literal("-")), grammar_.choice({grammar_.literal("0"), whole}),
                            grammar_.optional(fraction), grammar_.optional(exponent)});
}

ExprId JsonText::value() {
  if (!value_) {
    value_ = grammar_.add_rule("value");
    const ExprId scalars = grammar_.one_of({"true", "false", "null"});
    grammar_.define(*value_, grammar_.choice({string(), number(), scalars, object(), array()}));
  }
  return grammar_.call(*value_);
}

ExprId JsonText::object() {
  if (!object_) {
    object_ = grammar_.add_rule("object");
    const ExprId pair = grammar_.sequence({string(), colon_, value()});
    grammar_.define(*object_, object_of(grammar_, *this, pair));
  }
  return grammar_.call(*object_);
}

ExprId JsonText::array() {
  if (!array_) {
    array_ = grammar_.add_rule("array");
    const ExprId more = grammar_.repeat(grammar_.sequence({comma_, value()}), 0, kUnbounded);
    const ExprId items = grammar_.optional(grammar_.sequence({value(), more, gap_}));
    grammar_.define(*array_, grammar_.sequence({grammar_.literal("["), gap_, items, grammar_.literal("]")}));
  }
  return grammar_.call(*array_);
}

}  // namespace longship
