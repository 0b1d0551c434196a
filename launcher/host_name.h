#pragma once

#include <string>

namespace longship {

/// What this host calls itself; empty if it does not say.
std::string host_name();

}  // namespace longship
