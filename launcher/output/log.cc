#include "launcher/output/log.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>

namespace longship {

namespace {

LogFormat g_format = LogFormat::kText;

// RFC 3339, in UTC, with milliseconds.
std::string now_text() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 40> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text.data() + length, text.size() - length, ".%03dZ", static_cast<int>(milliseconds));
  return text.data();
}

const char* level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "";
}

std::string json_line(LogLevel level, const std::string& message, const Json& fields) {
  Json line;
  line.set("time", now_text());
  line.set("level", level_name(level));
  line.set("message", message);
  for (const auto& [key, value] : fields.as_object()) {
    line.set(key, value);
  }
  return dump_json(line);
}

}  // namespace

void set_log_format(LogFormat format) {
  g_format = format;
}

LogFormat log_format() {
  return g_format;
}

void log_line(LogLevel level, const std::string& message, const Json& fields) {
  const std::string line =
      (g_format == LogFormat::kJson ? json_line(level, message, fields) : "longship: " + printable(message)) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

std::string printable(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
      result += escape.data();
    } else {
      result += c;
    }
  }
  return result;
}

}  // namespace longship
