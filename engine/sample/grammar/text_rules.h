#pragma once

#include <string>
#include <vector>

#include "engine/sample/grammar/acceptor.h"
#include "engine/sample/grammar/regex.h"

namespace longship {

/// A regular expression that a text must match, or must not.
struct TextRule {
  std::string pattern;
  RegexAnchors anchors = RegexAnchors::kAnywhere;
  bool holds = true;
};

/// Several conditions for one text.
struct TextRules {
  std::vector<TextRule> rules{};
  std::vector<std::string> other_than{};  ///< Texts that it is none of.
  uint32_t least = 0;                     ///< Characters.
  uint32_t most = kUnbounded;
};

/// Texts for which all conditions hold. What a rule must not match is certain to be matched by no dialect of regular
/// expressions: such texts have no control characters and no uncommon white space, and only ASCII where the rule has
/// classes that dialects take for other characters. Errors: kUsage.
ExprId add_text(Grammar& grammar, Products& products, const TextRules& rules, const WriteChar& write);

}  // namespace longship
