#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace longship {

/// A code point of UTF-8 text and its length in bytes. `length` is 0 at the end of the text.
struct CodePoint {
  int32_t value = -1;
  std::size_t length = 0;
};

/// The code point at `offset`. The text is well-formed (see replace_invalid_utf8).
CodePoint code_point_at(std::string_view text, std::size_t offset);
/// The code point that ends before `offset`.
CodePoint code_point_before(std::string_view text, std::size_t offset);
void append_utf8(int32_t code_point, std::string& out);

/// Unicode general categories as the patterns of pre-tokenizers name them.
bool is_letter(int32_t code_point);       // \p{L}
bool is_number(int32_t code_point);       // \p{N}
bool is_punctuation(int32_t code_point);  // \p{P}, and the ASCII punctuation that Unicode calls symbols
bool is_space(int32_t code_point);        // White_Space

/// Replaces each maximal part that is not UTF-8 by U+FFFD (Unicode 15, section 3.9).
std::string replace_invalid_utf8(std::string_view bytes);
/// Bytes at the end of `bytes` that are the beginning of one character.
std::size_t incomplete_suffix_bytes(std::string_view bytes);

}  // namespace longship
