#pragma once

#include <gtest/gtest.h>

#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "engine/sample/grammar/automaton.h"
#include "engine/sample/grammar/grammar_spec.h"

namespace longship {

/// The text is one of the grammar's.
inline bool accepts(const Automaton& automaton, std::string_view text) {
  return automaton.advance(automaton.start(), text).may_end;
}

/// What a grammar takes and what it does not.
struct Table {
  std::string grammar;
  std::vector<std::string> taken;
  std::vector<std::string> refused;
};

inline void check(GrammarSpec::Kind kind, const std::vector<Table>& tables) {
  for (const Table& table : tables) {
    SCOPED_TRACE(table.grammar);
    try {
      const auto automaton = compile_grammar({kind, table.grammar});
      for (const std::string& text : table.taken) EXPECT_TRUE(accepts(*automaton, text)) << text;
      for (const std::string& text : table.refused) EXPECT_FALSE(accepts(*automaton, text)) << text;
    } catch (const Error& error) {
      ADD_FAILURE() << error.cause();
    }
  }
}

/// Why a grammar is refused; empty if it is not.
inline std::string refusal(GrammarSpec::Kind kind, const std::string& text) {
  try {
    compile_grammar({kind, text});
    return {};
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_FALSE(error.cause().empty());
    return error.cause();
  }
}

/// Refused with these words, or (no words) compiled, in little time either way.
struct Hostile {
  std::string text;
  std::string words;
};

inline void check_hostile(GrammarSpec::Kind kind, const std::vector<Hostile>& all) {
  for (const auto& [text, words] : all) {
    SCOPED_TRACE(text.substr(0, 60));
    const std::clock_t start = std::clock();  // of this process: other programs may use the machine
    const std::string cause = refusal(kind, text);
    EXPECT_LT(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC, 0.2);
    if (words.empty()) {
      EXPECT_EQ(cause, "");
    } else {
      EXPECT_NE(cause.find(words), std::string::npos) << cause;
    }
  }
}

inline std::string repeated(std::string_view text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

}  // namespace longship
