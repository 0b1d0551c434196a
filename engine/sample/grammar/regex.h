#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "engine/sample/grammar/code_points.h"
#include "engine/sample/grammar/grammar.h"

namespace longship {

/// What a regular expression stands for.
struct Regex {
  ExprId expr = 0;
  uint64_t least = 0;               ///< Fewest characters of a text.
  uint64_t most = 0;                ///< kUnbounded or above: no bound.
  bool is_char = false;             ///< One character of a set.
  std::optional<ExprId> of_each{};  ///< A repetition of this one character.
};

/// One character of a set, in the form in which it is written (plain UTF-8, or escaped in a JSON string).
using WriteChar = std::function<ExprId(Grammar&, const CodePointSet&)>;

enum class RegexAnchors { kWholeText, kAnywhere };

/// Adds a regular expression, as of Python and ECMAScript where they agree, to a grammar. With kWholeText it stands for
/// the whole text, ^ and $ may be there; with kAnywhere any text may stand before and behind it but for ^ and $. Left
/// out, refused by name: look-around, back-references, \b, \p, possessive and atomic groups, flags. Classes \d \w \s
/// are those of ASCII. Texts of another length are left out where that is a matter of one repetition of a character;
/// the result's bounds say whether there are still some. Errors: kUsage, with the place in the pattern.
Regex add_regex(Grammar& grammar, std::string_view pattern, RegexAnchors anchors, const WriteChar& write = utf8_of,
                PartCount length = {});

}  // namespace longship
