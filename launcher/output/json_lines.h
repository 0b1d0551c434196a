#pragma once

#include <functional>

#include "core/json.h"

namespace longship {

/// Answers each line of standard input, a JSON object, with a line of standard output, at once. What `answer` throws,
/// and a line that is not an object, is answered {"error": ...} and does not end the run. Returns 0.
int answer_json_lines(const std::function<Json(const Json& line)>& answer);

/// Members of a line. Errors: kUsage if they are there with another type.
bool line_flag(const Json& line, const char* key, bool fallback);
const std::string& line_string(const Json& line, const char* key);

}  // namespace longship
