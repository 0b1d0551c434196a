#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/sample/grammar/grammar.h"

namespace longship {

/// A set of Unicode code points (no surrogates). Value semantics.
class CodePointSet {
 public:
  using Range = std::pair<uint32_t, uint32_t>;  ///< Both ends included.

  CodePointSet() = default;
  CodePointSet(std::vector<Range> ranges);

  static CodePointSet all();
  CodePointSet complement() const;
  /// Sorted, apart from each other.
  const std::vector<Range>& ranges() const { return ranges_; }

 private:
  void normalise();

  std::vector<Range> ranges_;
};

void append_utf8_of(uint32_t code_point, std::string& out);

/// The code point at the beginning of `text` and its bytes are taken off. `text` is not empty and is UTF-8.
uint32_t take_code_point(std::string_view& text);

/// The number that `digits` hexadecimal digits at the beginning of `text` say; they are taken off. Nothing if there are
/// fewer.
std::optional<uint32_t> take_hex(std::string_view& text, int digits);

/// Whether this is a character of Unicode, and no surrogate.
bool is_character(uint32_t code_point);

/// One character of the set, in UTF-8.
ExprId utf8_of(Grammar& grammar, const CodePointSet& set);

}  // namespace longship
