#pragma once

#include <cstdint>
#include <string>

#include "core/json.h"

namespace longship {

enum class LogFormat : uint8_t { kText, kJson };
enum class LogLevel : uint8_t { kInfo, kWarning, kError };

/// How lines are written from now on; before other threads start.
void set_log_format(LogFormat format);
LogFormat log_format();

/// Writes one line to the standard error, whole: "longship: MESSAGE", or a JSON object of time, level, message and
/// `fields` (an object). Control characters never get through. Any thread may call.
void log_line(LogLevel level, const std::string& message, const Json& fields = Json(Json::Object{}));

/// The text without control characters: each is written as \xNN.
std::string printable(const std::string& text);

}  // namespace longship
