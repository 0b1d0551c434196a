#pragma once

#include <array>

namespace longship {

/// Differs between hosts, and from boot to boot.
std::array<char, 64> boot_of_host();

}  // namespace longship
