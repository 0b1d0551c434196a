#include "engine/sample/grammar/gbnf.h"

#include <map>
#include <optional>
#include <string>

#include "core/utf8.h"
#include "engine/sample/grammar/code_points.h"

namespace longship {

namespace {

constexpr int kMostNesting = 200;
constexpr uint32_t kMostRepetitions = 10'000'000;

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

class GbnfParser {
 public:
  explicit GbnfParser(std::string_view text) : text_(text), rest_(text) {
    if (!is_utf8(text)) {
      refuse_grammar("the grammar is not UTF-8");
    }
  }

  Grammar parse() {
    rules_["root"] = grammar_.add_rule("root");
    skip_space(true);
    while (!rest_.empty()) {
      parse_rule();
      skip_space(true);
    }
    if (!grammar_.rules().front().defined) {
      refuse_grammar("the grammar has no rule \"root\"", "Name the rule of the whole text root.");
    }
    return std::move(grammar_);
  }

 private:
  [[noreturn]] void fail(const std::string& rule) const {
    const std::string_view done = text_.substr(0, text_.size() - rest_.size());
    std::size_t line = 1;
    for (const char c : done) line += c == '\n' ? 1U : 0U;
    refuse_grammar("grammar, line " + std::to_string(line) + ": " + rule);
  }

  bool at(std::string_view token) const { return rest_.starts_with(token); }
  bool take(std::string_view token) {
    if (!at(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }

  // White space and comments; line breaks only where a rule may go on behind them.
  void skip_space(bool line_breaks) {
    while (!rest_.empty()) {
      const char c = rest_.front();
      if (c == '#') {
        rest_.remove_prefix(std::min(rest_.find_first_of("\r\n"), rest_.size()));
      } else if (c == ' ' || c == '\t' || (line_breaks && (c == '\n' || c == '\r'))) {
        rest_.remove_prefix(1);
      } else {
        return;
      }
    }
  }

  std::string take_name() {
    std::size_t length = 0;
    while (length < rest_.size() && is_name_char(rest_[length])) ++length;
    if (length == 0) fail("a name is missing");
    std::string name(rest_.substr(0, length));
    rest_.remove_prefix(length);
    return name;
  }

  RuleId rule_named(const std::string& name) {
    const auto known = rules_.find(name);
    if (known != rules_.end()) return known->second;
    return rules_[name] = grammar_.add_rule(name);
  }

  void parse_rule() {
    const std::string name = take_name();
    skip_space(false);
    if (!take("::=")) fail("::= is missing behind \"" + name + "\"");
    const RuleId rule = rule_named(name);
    if (grammar_.rules()[rule].defined) fail("rule \"" + name + "\" is defined twice");
    skip_space(true);
    grammar_.define(rule, parse_alternatives(0));
    if (!rest_.empty() && rest_.front() != '\n' && rest_.front() != '\r') {
      fail("a rule ends with its line, but there is \"" + std::string(rest_.substr(0, 1)) + "\"");
    }
  }

  ExprId parse_alternatives(int depth) {
    if (depth > kMostNesting) fail("groups are nested more than " + std::to_string(kMostNesting) + " deep");
    std::vector<ExprId> alternatives{parse_sequence(depth)};
    while (take("|")) {
      skip_space(true);
      alternatives.push_back(parse_sequence(depth));
    }
    return grammar_.choice(alternatives);
  }

  ExprId parse_sequence(int depth) {
    std::vector<ExprId> parts;
    while (!rest_.empty()) {
      const std::optional<ExprId> part = parse_symbol(depth);
      if (!part) break;
      skip_space(depth > 0);
      parts.push_back(parse_repetitions(*part, depth));
    }
    return grammar_.sequence(std::move(parts));
  }

  std::optional<ExprId> parse_symbol(int depth) {
    if (take("\"")) return parse_literal();
    if (take("[")) return parse_class();
    if (take(".")) return utf8_of(grammar_, CodePointSet::all());
    if (at("<") || at("!<")) fail("tokens by name or number (<...>) are not supported");
    if (is_name_char(rest_.front())) {
      return grammar_.call(rule_named(take_name()));
    }
    if (take("(")) {
      skip_space(true);
      const ExprId group = parse_alternatives(depth + 1);
      if (!take(")")) fail("a group has no )");
      return group;
    }
    return std::nullopt;
  }

  ExprId parse_repetitions(ExprId part, int depth) {
    for (;;) {
      if (take("*")) {
        part = grammar_.repeat(part, 0, kUnbounded);
      } else if (take("+")) {
        part = grammar_.repeat(part, 1, kUnbounded);
      } else if (take("?")) {
        part = grammar_.repeat(part, 0, 1);
      } else if (take("{")) {
        part = parse_bounds(part, depth);
      } else {
        return part;
      }
      skip_space(depth > 0);
    }
  }

  ExprId parse_bounds(ExprId part, int depth) {
    skip_space(depth > 0);
    const uint32_t least = at(",") ? 0 : take_number();
    uint32_t most = least;
    skip_space(depth > 0);
    if (take(",")) {
      skip_space(depth > 0);
      most = at("}") ? kUnbounded : take_number();
      skip_space(depth > 0);
    }
    if (!take("}")) fail("a repetition {m,n} has no }");
    if (most < least) fail("a repetition {m,n} has its bounds the wrong way round");
    return grammar_.repeat(part, least, most);
  }

  uint32_t take_number() {
    uint32_t number = 0;
    if (rest_.empty() || rest_.front() < '0' || rest_.front() > '9') fail("a repetition {m,n} has no number");
    while (!rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9') {
      number = number * 10 + static_cast<uint32_t>(rest_.front() - '0');
      if (number > kMostRepetitions) fail("a repetition is above " + std::to_string(kMostRepetitions));
      rest_.remove_prefix(1);
    }
    return number;
  }

  ExprId parse_literal() {
    std::string literal;
    while (!take("\"")) {
      if (rest_.empty() || rest_.front() == '\n') fail("a literal has no closing \"");
      append_utf8_of(take_char(), literal);
    }
    return grammar_.literal(literal);
  }

  ExprId parse_class() {
    const bool negated = take("^");
    std::vector<CodePointSet::Range> ranges;
    while (!take("]")) {
      if (rest_.empty() || rest_.front() == '\n') fail("a class has no closing ]");
      const uint32_t first = take_char();
      uint32_t last = first;
      if (at("-") && !at("-]")) {
        rest_.remove_prefix(1);
        if (rest_.empty()) fail("a class has no closing ]");
        last = take_char();
      }
      if (last < first) fail("a range of a class has its ends the wrong way round");
      ranges.emplace_back(first, last);
    }
    const CodePointSet set(std::move(ranges));
    return utf8_of(grammar_, negated ? set.complement() : set);
  }

  uint32_t take_char() {
    const uint32_t code_point = take_code_point(rest_);
    if (code_point != '\\') return code_point;
    if (rest_.empty()) fail("the text ends in an escape");
    const uint32_t escaped = take_code_point(rest_);
    switch (escaped) {
      case 'x':
        return take_code(2);
      case 'u':
        return take_code(4);
      case 'U':
        return take_code(8);
      case 't':
        return '\t';
      case 'r':
        return '\r';
      case 'n':
        return '\n';
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
      case '^':
        return escaped;
      default:
        fail("there is no such escape: \\" + std::string(1, escaped < 0x80 ? static_cast<char>(escaped) : '?'));
    }
  }

  uint32_t take_code(int digits) {
    const std::optional<uint32_t> code_point = take_hex(rest_, digits);
    if (!code_point || !is_character(*code_point)) {
      fail("an escape is not " + std::to_string(digits) + " hexadecimal digits of a character");
    }
    return *code_point;
  }

  std::string_view text_;
  std::string_view rest_;
  Grammar grammar_;
  std::map<std::string, RuleId, std::less<>> rules_;
};

}  // namespace

Grammar parse_gbnf(std::string_view text) {
  return GbnfParser(text).parse();
}

}  // namespace longship
