#pragma once

#include "core/json.h"
#include "engine/sample/grammar/text_rules.h"

namespace longship {

/// Where allOf brings together several patterns for one string: an array of those behind the first.
inline constexpr const char* kMorePatterns = "longship-patterns";

/// What a schema without references says of strings: pattern, format and lengths. Errors: kUsage.
TextRules string_rules(const Json& schema);

}  // namespace longship
