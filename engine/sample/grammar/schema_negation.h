#pragma once

#include "core/json.h"

namespace longship {

/// Internal words for strings: patterns that they must not match, and texts that they are none of. Arrays.
inline constexpr const char* kNotPatterns = "longship-not-patterns";
inline constexpr const char* kOtherThan = "longship-other-than";

/// A schema for what this one, which has no references (SchemaMerge::flat()), does not describe. Errors: kUsage, naming
/// the keyword, where that cannot be said.
Json negated(const Json& schema);

}  // namespace longship
