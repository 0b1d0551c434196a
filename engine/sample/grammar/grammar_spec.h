#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace longship {

class Automaton;

/// What a generated text must be, as a client says it: plain data that goes with its request.
struct GrammarSpec {
  enum class Kind : uint8_t {
    kNone,    ///< Anything.
    kGbnf,    ///< GBNF.
    kRegex,   ///< A regular expression for the whole text.
    kChoice,  ///< One of the strings of a JSON array.
  };

  Kind kind = Kind::kNone;
  std::string text{};

  friend bool operator==(const GrammarSpec&, const GrammarSpec&) = default;
};

/// Compiles what is not kNone, in bounded time and memory: 100 ms or so at worst. Errors: kUsage, saying what of the
/// text is wrong, not supported or too large.
std::shared_ptr<const Automaton> compile_grammar(const GrammarSpec& spec);

}  // namespace longship
