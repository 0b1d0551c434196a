#pragma once

#include <cstddef>
#include <string_view>

namespace longship {

/// Length of the longest end of `text` that is a beginning of `mark`, but not all of it: what may still become the
/// mark.
std::size_t begun_bytes(std::string_view text, std::string_view mark);

}  // namespace longship
