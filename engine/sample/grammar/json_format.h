#pragma once

#include <optional>
#include <string_view>

namespace longship {

/// A regular expression for the strings of a format of JSON Schema; nothing for one that is none of its formats and
/// so only describes.
std::optional<std::string_view> pattern_of_format(std::string_view format);

}  // namespace longship
