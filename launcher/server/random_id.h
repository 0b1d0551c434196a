#pragma once

#include <string>

namespace longship {

/// `prefix` and so many random hexadecimal digits. Any thread may call.
std::string random_id(std::string prefix, int digits);

}  // namespace longship
