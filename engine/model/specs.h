#pragma once

#include <string>

#include "parallel/shard.h"

namespace longship {

/// A vector [extent] that every rank holds whole.
ParamSpec replicated_vector(const std::string& source, int64_t extent);

}  // namespace longship
