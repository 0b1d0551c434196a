#include "launcher/report.h"

#include <cstdio>

namespace longship {

std::string error_text(const Error& error) {
  std::string text = "error: " + error.cause();
  if (!error.remedy().empty()) {
    text += "\n" + error.remedy();
  }
  return text;
}

void print_error(const Error& error) {
  const std::string text = "longship: " + error_text(error) + "\n";
  std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace longship
