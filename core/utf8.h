#pragma once

#include <cstddef>
#include <string_view>

namespace longship {

/// Length of the well-formed UTF-8 sequence (RFC 3629) at the beginning of `text`, 0 if there is none.
std::size_t utf8_sequence_length(std::string_view text);

/// Whether the whole text is well-formed UTF-8.
bool is_utf8(std::string_view text);

}  // namespace longship
