#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/jinja/value.h"

namespace longship::jinja {

/// Strings as Python has them: sequences of code points, held as UTF-8.
int64_t count_code_points(std::string_view text);
Items characters(std::string_view text);
/// Code points [begin, end), 0 <= begin <= end <= length.
std::string substring(const Value& text, int64_t begin, int64_t end);
/// Byte offset of code point `index`.
std::size_t byte_offset(std::string_view text, int64_t index);
std::vector<int32_t> code_points(std::string_view text);
std::string from_code_points(const std::vector<int32_t>& code_points);

std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string title(std::string_view text);
std::string capitalize(std::string_view text);
std::string swapcase(std::string_view text);

/// Without the characters of `set` (white space if empty optional) at either end.
std::string strip(std::string_view text, const std::string* set, bool left, bool right);
std::string replace_all(std::string_view text, std::string_view from, std::string_view to, int64_t most);
std::vector<std::string> split_white_space(std::string_view text, int64_t most);
std::vector<std::string> split_lines(std::string_view text);
std::string repr_string(std::string_view text);
bool is_python_space(int32_t code_point);
/// Text for HTML: & < > " ' as entities.
std::string escape_html(std::string_view text);
/// Spaces, or other fill, to reach `width` code points; `left` and `right` say on which sides.
std::string pad(std::string_view text, int64_t width, std::string_view fill, bool left, bool right);

}  // namespace longship::jinja
