#pragma once

#include <string_view>

namespace longship {

/// Writes to standard output at once. False when its reader is gone.
bool write_output(std::string_view text);

}  // namespace longship
