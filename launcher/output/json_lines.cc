#include "launcher/output/json_lines.h"

#include <iostream>
#include <string>

#include "core/error.h"
#include "launcher/output/text_output.h"

namespace longship {

namespace {

Json answer_line(const std::string& text, const std::function<Json(const Json&)>& answer) {
  Json result;
  try {
    auto parsed = parse_json(text);
    if (const auto* error = std::get_if<JsonError>(&parsed)) {
      throw Error(ErrorKind::kUsage, "offset " + std::to_string(error->offset) + ": " + error->rule);
    }
    const Json& line = std::get<Json>(parsed);
    if (!line.is_object()) {
      throw Error(ErrorKind::kUsage, "a line must be a JSON object");
    }
    result = answer(line);
  } catch (const Error& error) {
    result = Json();
    result.set("error", error.cause());
  }
  return result;
}

}  // namespace

int answer_json_lines(const std::function<Json(const Json& line)>& answer) {
  std::ios::sync_with_stdio(false);
  for (std::string text; std::getline(std::cin, text);) {
    if (!write_output(dump_json(answer_line(text, answer)) + "\n")) {
      break;
    }
  }
  return 0;
}

bool line_flag(const Json& line, const char* key, bool fallback) {
  const Json* value = line.find(key);
  if (value == nullptr || value->is_null()) {
    return fallback;
  }
  if (!value->is_bool()) {
    throw Error(ErrorKind::kUsage, std::string(key) + " must be true or false");
  }
  return value->as_bool();
}

const std::string& line_string(const Json& line, const char* key) {
  const Json* value = line.find(key);
  if (value == nullptr || !value->is_string()) {
    throw Error(ErrorKind::kUsage, std::string(key) + " must be a string");
  }
  return value->as_string();
}

}  // namespace longship
