#pragma once

#include <string>

namespace longship {

/// What this host calls itself; empty if it does not say.
std::string host_name();

/// A number for this host, the same in all its processes, that an f32 holds exactly. Two hosts have the same one about
/// once in 17 million.
int host_number();

}  // namespace longship
