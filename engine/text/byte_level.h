#pragma once

#include <string>
#include <string_view>

namespace longship {

/// GPT-2's alphabet: each byte is written as one printable character, so that any text is a string of them.
std::string bytes_to_alphabet(std::string_view bytes);
/// The bytes that a token stands for; a token with a character outside the alphabet is its own UTF-8 text.
std::string alphabet_to_bytes(std::string_view token);

}  // namespace longship
