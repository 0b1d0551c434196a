#pragma once

#include <string_view>

#include "engine/sample/grammar/grammar.h"

namespace longship {

/// A grammar in GBNF, the notation of llama.cpp: `name ::= alternatives`, "literals", [classes], groups, `.`,
/// repetition by * + ? {m} {m,} {m,n}, # comments, escapes \n \r \t \" \\ \[ \] \xHH \uHHHH \UHHHHHHHH; the rule `root`
/// is the whole text. Errors: kUsage, naming the line.
Grammar parse_gbnf(std::string_view text);

}  // namespace longship
