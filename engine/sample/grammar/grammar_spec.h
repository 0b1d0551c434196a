#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace longship {

class Automaton;

/// What a generated text must be, as a client says it: plain data that goes with its request.
///
/// kTagged is a JSON object {"tags": [{"begin": TEXT, "schema": SCHEMA, "end": TEXT}, ...], "separator": TEXT, "least":
/// N, "most": N}: `least` (1) to `most` (no bound) tags, in any order and as often as they like, with the separator
/// ("") between two; a tag is a value of its schema between its texts. Such are calls of tools.
struct GrammarSpec {
  enum class Kind : uint8_t {
    kNone,        ///< Anything.
    kGbnf,        ///< GBNF.
    kRegex,       ///< A regular expression for the whole text.
    kChoice,      ///< One of the strings of a JSON array.
    kJsonObject,  ///< Any JSON object; the text says nothing.
    kJsonSchema,  ///< What a JSON schema describes.
    kTagged,      ///< JSON values between fixed texts: see below.
  };

  Kind kind = Kind::kNone;
  std::string text{};

  friend bool operator==(const GrammarSpec&, const GrammarSpec&) = default;
};

/// Compiles what is not kNone, in bounded time and memory: 100 ms or so at worst. Errors: kUsage, saying what of the
/// text is wrong, not supported or too large.
std::shared_ptr<const Automaton> compile_grammar(const GrammarSpec& spec);

}  // namespace longship
