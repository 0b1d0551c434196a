#include "engine/sample/grammar/regex.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>

#include "core/utf8.h"

namespace longship {

namespace {

constexpr int kMostNesting = 200;
constexpr uint64_t kMostRepetitions = 10'000'000;
constexpr uint64_t kEndless = uint64_t{1} << 40U;

using Ranges = std::vector<CodePointSet::Range>;

const CodePointSet& digits() {
  static const CodePointSet kSet(Ranges{{'0', '9'}});
  return kSet;
}
const CodePointSet& word() {
  static const CodePointSet kSet(Ranges{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}});
  return kSet;
}
const CodePointSet& space() {
  static const CodePointSet kSet(Ranges{{'\t', '\r'}, {' ', ' '}});
  return kSet;
}
// What both Python and ECMAScript take for no letter, digit or underscore.
const CodePointSet& no_word() {
  static const CodePointSet kSet(Ranges{
      {0, '/'}, {':', '@'}, {'[', '^'}, {'`', '`'}, {'{', 0x7F}, {0x2010, 0x2027}, {0x2030, 0x205E}, {0x3001, 0x3003}});
  return kSet;
}
// What Python or ECMAScript takes for white space.
const CodePointSet& any_space() {
  static const CodePointSet kSet(Ranges{{'\t', '\r'},
                                        {0x1C, ' '},
                                        {0x85, 0x85},
                                        {0xA0, 0xA0},
                                        {0x1680, 0x1680},
                                        {0x2000, 0x200A},
                                        {0x2028, 0x2029},
                                        {0x202F, 0x202F},
                                        {0x205F, 0x205F},
                                        {0x3000, 0x3000},
                                        {0xFEFF, 0xFEFF}});
  return kSet;
}
const CodePointSet& not_line_break() {
  static const CodePointSet kSet = CodePointSet(Ranges{{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}).complement();
  return kSet;
}

class RegexParser {
 public:
  RegexParser(Grammar& grammar, std::string_view pattern, RegexAnchors anchors, const WriteChar& write,
              PartCount length)
      : grammar_(grammar), pattern_(pattern), rest_(pattern), anchors_(anchors), write_(write), length_(length) {}

  Regex parse() {
    if (!is_utf8(pattern_)) {
      refuse_grammar("the regular expression is not UTF-8");
    }
    const Regex regex = parse_alternatives(0);
    if (!rest_.empty()) fail("a ) has no (");
    return regex;
  }

 private:
  [[noreturn]] void fail(const std::string& rule) const {
    refuse_grammar("regular expression, character " + std::to_string(pattern_.size() - rest_.size()) + ": " + rule);
  }
  [[noreturn]] void unsupported(const std::string& what) const { fail(what + " is not supported"); }

  bool at(std::string_view token) const { return rest_.starts_with(token); }
  bool take(std::string_view token) {
    if (!at(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }

  Regex parse_alternatives(int depth) {
    if (depth > kMostNesting) fail("groups are nested more than " + std::to_string(kMostNesting) + " deep");
    std::vector<ExprId> alternatives;
    Regex all{.least = kEndless};
    do {
      const Regex one = parse_sequence(depth);
      alternatives.push_back(one.expr);
      all.least = std::min(all.least, one.least);
      all.most = std::max(all.most, one.most);
    } while (take("|"));
    all.expr = grammar_.choice(alternatives);
    return all;
  }

  // Anchors stand at the ends of the pattern or of one of its alternatives: there alone they do not depend on the text
  // around them.
  Regex parse_sequence(int depth) {
    std::vector<Regex> parts;
    bool begins = false;
    while (depth == 0 && (take("^") || take("\\A"))) begins = true;
    bool ends = false;
    while (!rest_.empty() && !at("|") && !at(")")) {
      if (at("^") || at("\\A")) fail("^ stands somewhere else than at the beginning");
      if (take("$") || take("\\Z") || take("\\z")) {
        if (depth > 0 || !(rest_.empty() || at("|") || at("$"))) fail("$ stands somewhere else than at the end");
        ends = true;
        continue;
      }
      parts.push_back(parse_repetitions(parse_atom(depth)));
    }
    if (depth == 0 && anchors_ == RegexAnchors::kAnywhere) {
      if (!begins) parts.insert(parts.begin(), anything());
      if (!ends) parts.push_back(anything());
    }
    if (depth == 0) fit(parts);
    Regex all{};
    std::vector<ExprId> exprs;
    for (const Regex& part : parts) {
      exprs.push_back(part.expr);
      all.least = std::min(kEndless, all.least + part.least);
      all.most = std::min(kEndless, all.most + part.most);
    }
    all.expr = grammar_.sequence(std::move(exprs));
    return all;
  }

  // Texts of the parts that are too short or too long are left out, if one repetition of a character decides.
  void fit(std::vector<Regex>& parts) {
    Regex fixed;
    Regex* run = &fixed;
    uint64_t others = 0;
    for (Regex& part : parts) {
      if (part.least == part.most) {
        others = std::min(kEndless, others + part.least);
      } else if (run == &fixed && part.of_each) {
        run = &part;
      } else {
        return;
      }
    }
    const uint64_t least = std::max(run->least, length_.least - std::min<uint64_t>(length_.least, others));
    const uint64_t room =
        length_.most == kUnbounded ? kEndless : length_.most - std::min<uint64_t>(length_.most, others);
    const uint64_t most = std::min(run->most, room);
    if ((length_.most != kUnbounded && others > length_.most) || least > most) {
      parts.assign(1, Regex{.expr = grammar_.nothing(), .least = kEndless, .most = 0});
    } else if (run != &fixed && (least != run->least || most != run->most)) {
      run->least = least;
      run->most = most;
      run->expr = repetition_of(*run->of_each, least, most);
    }
  }

  ExprId repetition_of(ExprId part, uint64_t least, uint64_t most) {
    return grammar_.repeat(part, static_cast<uint32_t>(least),
                           most >= kEndless ? kUnbounded : static_cast<uint32_t>(most));
  }

  Regex anything() {
    const ExprId each = written(CodePointSet::all());
    return {.expr = grammar_.repeat(each, 0, kUnbounded), .least = 0, .most = kEndless, .of_each = each};
  }

  ExprId written(const CodePointSet& set) {
    const auto known = written_.find(set.ranges());
    return known != written_.end() ? known->second : written_[set.ranges()] = write_(grammar_, set);
  }

  Regex one_of(const CodePointSet& set) { return {.expr = written(set), .least = 1, .most = 1, .is_char = true}; }
  Regex one(uint32_t code_point) { return one_of(CodePointSet(Ranges{{code_point, code_point}})); }

  Regex parse_atom(int depth) {
    if (take("(")) return parse_group(depth);
    if (take("[")) return one_of(parse_class());
    if (take(".")) return one_of(not_line_break());
    if (at("*") || at("+") || at("?")) fail("a repetition has nothing to repeat");
    if (!take("\\")) return one(take_code_point(rest_));
    const std::optional<CodePointSet> set = take_class_escape(false);
    return set ? one_of(*set) : one(take_escape());
  }

  Regex parse_group(int depth) {
    if (take("?")) {
      if (at("=") || at("!") || at("<=") || at("<!")) unsupported("look-around");
      if (at(">")) unsupported("an atomic group");
      if (at("P=")) unsupported("a back-reference");
      if (take("P<") || take("<")) {
        rest_.remove_prefix(std::min(rest_.find('>'), rest_.size()));
        if (!take(">")) fail("the name of a group has no >");
      } else if (!take(":")) {
        unsupported("a group with flags or conditions");
      }
    }
    const Regex group = parse_alternatives(depth + 1);
    if (!take(")")) fail("a ( has no )");
    return group;
  }

  Regex parse_repetitions(Regex part) {
    bool repeated = false;
    for (;;) {
      std::optional<std::pair<uint64_t, uint64_t>> bounds = take_bounds();
      if (!bounds) return part;
      if (repeated) fail("a repetition is repeated: put it in a group");
      repeated = true;
      const auto [least, most] = *bounds;
      const bool endless = most >= kEndless;
      part.of_each = part.is_char ? std::optional(part.expr) : std::nullopt;
      part.is_char = false;
      part.expr = repetition_of(part.expr, least, most);
      part.least = std::min(kEndless, part.least * least);
      part.most = part.most == 0 ? 0 : (endless ? kEndless : std::min(kEndless, part.most * most));
      take("?");  // lazy: the same texts
      if (at("+")) unsupported("a possessive repetition");
    }
  }

  // * + ? {m} {m,} {,n} {m,n}; other braces are characters.
  std::optional<std::pair<uint64_t, uint64_t>> take_bounds() {
    if (take("*")) return std::pair{uint64_t{0}, kEndless};
    if (take("+")) return std::pair{uint64_t{1}, kEndless};
    if (take("?")) return std::pair{uint64_t{0}, uint64_t{1}};
    if (!at("{")) return std::nullopt;
    std::string_view inner = rest_.substr(1);
    const std::optional<uint64_t> first = take_number(inner);
    std::optional<uint64_t> second = first;
    if (inner.starts_with(",")) {
      inner.remove_prefix(1);
      second = take_number(inner);
      if (!first && !second) return std::nullopt;
      second = second.value_or(kEndless);
    }
    if (!second || !inner.starts_with("}")) return std::nullopt;
    rest_ = inner.substr(1);
    const uint64_t least = first.value_or(0);
    if (least > kMostRepetitions || (*second > kMostRepetitions && *second != kEndless)) {
      fail("a repetition is above " + std::to_string(kMostRepetitions));
    }
    if (*second < least) fail("a repetition {m,n} has its bounds the wrong way round");
    return std::pair{least, *second};
  }

  static std::optional<uint64_t> take_number(std::string_view& text) {
    if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
    uint64_t number = 0;
    while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
      number = std::min(kMostRepetitions + 1, number * 10 + static_cast<uint64_t>(text.front() - '0'));
      text.remove_prefix(1);
    }
    return number;
  }

  // \d \D \w \W \s \S, behind the backslash. Characters that only some take for white space, or for
  // letters, are in no class.
  std::optional<CodePointSet> take_class_escape(bool negated) {
    if (take("d")) return digits();
    if (take("D")) return digits().complement();
    if (take("w")) return word();
    if (take("W")) return negated ? word().complement() : no_word();
    if (take("s")) return negated ? any_space() : space();
    if (take("S")) return (negated ? space() : any_space()).complement();
    return std::nullopt;
  }

  // A character, behind the backslash.
  uint32_t take_escape() {
    if (rest_.empty()) fail("the pattern ends in a backslash");
    const uint32_t escaped = take_code_point(rest_);
    constexpr std::array<std::pair<char, char>, 5> kControls = {
        {{'n', '\n'}, {'r', '\r'}, {'t', '\t'}, {'f', '\f'}, {'v', '\v'}}};
    for (const auto& [letter, control] : kControls) {
      if (escaped == static_cast<uint32_t>(letter)) return static_cast<uint32_t>(control);
    }
    if (escaped == 'x') return take_code(2);
    if (escaped == 'u' && take("{")) return take_braced_hex();
    if (escaped == 'u') return take_utf16();
    if (escaped == 'U') return take_code(8);
    if (escaped == '0' && (rest_.empty() || rest_.front() < '0' || rest_.front() > '9')) return 0;
    if (escaped >= '0' && escaped <= '9') unsupported("a back-reference");
    if (escaped == 'k') unsupported("a back-reference");
    if (escaped == 'b' || escaped == 'B') unsupported("a word boundary");
    if (escaped == 'p' || escaped == 'P') unsupported("a Unicode property");
    const bool letter = (escaped >= 'a' && escaped <= 'z') || (escaped >= 'A' && escaped <= 'Z');
    if (letter) unsupported("the escape \\" + std::string(1, static_cast<char>(escaped)));
    return escaped;
  }

  // Two escapes of surrogates are one character, as in JSON and ECMAScript.
  uint32_t take_utf16() {
    const uint32_t unit = take_number_of(4);
    if (unit < 0xD800 || unit > 0xDFFF) return unit;
    const uint32_t low = unit < 0xDC00 && take("\\u") ? take_number_of(4) : 0;
    if (low < 0xDC00 || low > 0xDFFF) fail("an escape is no character of Unicode");
    return 0x10000 + ((unit - 0xD800) << 10U) + (low - 0xDC00);
  }

  uint32_t take_braced_hex() {
    const auto end = rest_.find('}');
    if (end == std::string_view::npos || end == 0 || end > 6) fail("an escape \\u{...} has no 1 to 6 digits");
    const uint32_t value = take_code(static_cast<int>(end));
    take("}");
    return value;
  }

  uint32_t take_number_of(int count) {
    const std::optional<uint32_t> value = take_hex(rest_, count);
    if (!value) fail("an escape has fewer than " + std::to_string(count) + " hexadecimal digits");
    return *value;
  }

  uint32_t take_code(int count) {
    const uint32_t value = take_number_of(count);
    if (!is_character(value)) fail("an escape is no character of Unicode");
    return value;
  }

  CodePointSet parse_class() {
    const bool negated = take("^");
    Ranges ranges;
    bool first = true;
    while (first || !take("]")) {
      if (rest_.empty()) fail("a class has no ]");
      if (first && take("]")) {
        ranges.emplace_back(']', ']');  // as in Python; ECMAScript's empty class stands for nothing
        first = false;
        continue;
      }
      first = false;
      if (at("[:")) unsupported("a class by name");
      const std::optional<CodePointSet> set = take_class_item(ranges, negated);
      if (set) ranges.insert(ranges.end(), set->ranges().begin(), set->ranges().end());
    }
    const CodePointSet set(std::move(ranges));
    return negated ? set.complement() : set;
  }

  // A set of many, or a character or range that is added.
  std::optional<CodePointSet> take_class_item(Ranges& ranges, bool negated) {
    const bool escaped = take("\\");
    if (escaped) {
      std::optional<CodePointSet> set = take_class_escape(negated);
      if (set) return set;
    }
    const uint32_t first = escaped ? take_class_char_escape() : take_code_point(rest_);
    uint32_t last = first;
    if (at("-") && rest_.size() > 1 && rest_[1] != ']') {
      rest_.remove_prefix(1);
      if (at("\\d") || at("\\w") || at("\\s")) fail("a range of a class ends in a class");
      last = take("\\") ? take_class_char_escape() : take_code_point(rest_);
    }
    if (last < first) fail("a range of a class has its ends the wrong way round");
    ranges.emplace_back(first, last);
    return std::nullopt;
  }

  uint32_t take_class_char_escape() {
    if (take("b")) return '\b';
    return take_escape();
  }

  Grammar& grammar_;
  std::string_view pattern_;
  std::string_view rest_;
  RegexAnchors anchors_;
  const WriteChar& write_;
  PartCount length_;
  std::map<Ranges, ExprId> written_;  ///< Sets that were there before.
};

}  // namespace

Regex add_regex(Grammar& grammar, std::string_view pattern, RegexAnchors anchors, const WriteChar& write,
                PartCount length) {
  return RegexParser(grammar, pattern, anchors, write, length).parse();
}

}  // namespace longship
