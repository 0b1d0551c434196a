#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/json.h"
#include "engine/sample/grammar/json_number.h"
#include "engine/sample/grammar/multiple_of.h"

namespace longship {

/// Refuses a keyword that would change the meaning of a schema and is not supported. Errors: kUsage.
void check_keywords(const Json& schema);

/// The types of a schema's values; of one that names none, those that its keywords are about, or all. Errors: kUsage.
std::vector<std::string> types_of(const Json& schema);
bool is_of_type(const Json& value, const std::string& type);

/// A keyword of our own: names of members that are not there. Other than a property that is false, it closes no object.
inline constexpr const char* kAbsent = "longship-absent";
std::vector<std::string> absent_names(const Json& schema);
bool is_absent(const Json& schema, const std::string& name);

/// Whether two values are equal: numbers by what they are, members in any order.
bool same_value(const Json& a, const Json& b);
/// One text for all values that are equal.
std::string canonical(const Json& value);
/// Whether the keyword is a word of JSON Schema that may change the meaning of a schema.
bool is_keyword(std::string_view keyword);

/// The number of minLength and the like, if it is there. Errors: kUsage.
std::optional<uint32_t> count_of(const Json& schema, const char* keyword);

/// The least and the most number. Errors: kUsage.
std::pair<std::optional<NumberBound>, std::optional<NumberBound>> bounds_of(const Json& schema);

/// The least and the most integer that is written. Errors: kUsage.
std::pair<int64_t, int64_t> integers_of(const Json& schema);
/// What multipleOf says. Errors: kUsage.
std::optional<Multiple> multiple_in(const Json& schema);

}  // namespace longship
