#include "launcher/output/report.h"

#include <cstdio>

#include "launcher/output/log.h"

namespace longship {

std::string error_text(const Error& error) {
  std::string text = "error: " + error.cause();
  if (!error.remedy().empty()) {
    text += "\n" + error.remedy();
  }
  return text;
}

void print_error(const Error& error) {
  if (log_format() == LogFormat::kJson) {
    Json fields;
    fields.set("remedy", error.remedy());
    fields.set("exit_code", error.exit_code());
    log_line(LogLevel::kError, error.cause(), fields);
    return;
  }
  const std::string text = "longship: " + error_text(error) + "\n";
  std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace longship
