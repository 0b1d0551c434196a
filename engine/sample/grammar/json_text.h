#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/sample/grammar/code_points.h"
#include "engine/sample/grammar/grammar.h"

namespace longship {

/// One character of a JSON string that stands for one of the set: as it is where JSON allows that, else escaped.
ExprId json_char_of(Grammar& grammar, const CodePointSet& set);

/// The parts of JSON texts, in one grammar. White space is bounded, so that no model loses itself in it: behind { [ and
/// the comma and before } ] nothing, a space, or a line break with up to 32 spaces or tabs; behind the colon nothing or
/// a space. Numbers have at most 16 digits before the point and behind it, and an exponent of two.
class JsonText {
 public:
  explicit JsonText(Grammar& grammar);

  ExprId gap() const { return gap_; }
  ExprId comma() const { return comma_; }
  ExprId colon() const { return colon_; }
  /// Any string, of so many characters.
  ExprId string() { return string(0, kUnbounded); }
  ExprId string(uint32_t least, uint32_t most);
  /// The string that this text is; its quotes included, as in string().
  ExprId string_of(const std::string& text);
  /// Any string but these.
  ExprId string_other_than(const std::vector<std::string>& names);
  /// Within quotes.
  ExprId quoted(ExprId content);
  ExprId integer();
  ExprId number();
  ExprId value();
  ExprId object();
  ExprId array();

 private:
  ExprId any_char();
  ExprId other_than(const std::vector<std::u32string>& names, std::size_t offset);

  Grammar& grammar_;
  ExprId gap_;
  ExprId comma_;
  ExprId colon_;
  std::optional<ExprId> any_char_;
  std::optional<RuleId> string_;
  std::optional<RuleId> value_;
  std::optional<RuleId> object_;
  std::optional<RuleId> array_;
};

}  // namespace longship
