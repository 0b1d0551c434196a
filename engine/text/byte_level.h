#pragma once

#include <string>
#include <string_view>

namespace longship {

/// GPT-2's alphabet: each byte is written as one printable character, so that any text is a string of them.
std::string bytes_to_alphabet(std::string_view bytes);
/// Appends the bytes that a token stands for; a token with a character outside the alphabet is its own UTF-8 text.
void append_alphabet_bytes(std::string_view token, std::string& out);

}  // namespace longship
