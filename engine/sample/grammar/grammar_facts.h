#pragma once

#include <vector>

#include "engine/sample/grammar/grammar.h"

namespace longship {

/// What the parts of a grammar can do, by their numbers.
struct GrammarFacts {
  std::vector<bool> nullable;    ///< Stands for the empty text, among others.
  std::vector<bool> productive;  ///< Stands for some text of finite length.
};

/// Checks the grammar as a whole and finds its facts, in time proportional to its size. Refused: a rule that is used
/// and not defined, a rule that can call itself before it has read a byte (left recursion), a root that no finite text
/// matches, parts nested too deep.
GrammarFacts check_grammar(const Grammar& grammar);

}  // namespace longship
