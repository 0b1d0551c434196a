#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace longship {

class Automaton;

/// The first byte of what stands for a special token in grammars, and in the vocabulary that guides know. No text has
/// it, so that such a token comes only where a grammar names it.
constexpr char kSpecialByte = '\xff';
inline std::string special_bytes(std::string_view token) {
  return kSpecialByte + std::string(token);
}

/// What a generated text must be, as a client says it: plain data that goes with its request.
///
/// kTagged is a JSON object {"tags": [{"begin": TEXT, "schema": SCHEMA, "end": TEXT}, ...], "separator": TEXT, "least":
/// N, "most": N}: `least` (1) to `most` (no bound) tags, in any order and as often as they like, with the separator
/// ("") between two; a tag is a value of its schema between its texts. Such are calls of tools. A TEXT may have special
/// tokens: {"special": NAME} is one, and an array is its parts one behind the other.
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

  /// Marks around what may be thought before the text that the grammar holds, with white space around it. Special
  /// tokens as special_bytes().
  struct Reasoning {
    std::string open{};   ///< Empty: it has begun before, and must come to its end.
    std::string close{};  ///< Empty: there is none.

    friend bool operator==(const Reasoning&, const Reasoning&) = default;
  };

  Kind kind = Kind::kNone;
  std::string text{};
  Reasoning reasoning{};

  friend bool operator==(const GrammarSpec&, const GrammarSpec&) = default;
};

/// Compiles what is not kNone, in bounded time and memory: 100 ms or so at worst. Errors: kUsage, saying what of the
/// text is wrong, not supported or too large.
std::shared_ptr<const Automaton> compile_grammar(const GrammarSpec& spec);

}  // namespace longship
