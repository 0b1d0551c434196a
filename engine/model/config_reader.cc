#include "engine/model/config_reader.h"

#include <cmath>

#include "core/unsupported.h"
#include "engine/weights/mapped_file.h"

namespace longship {

Json read_json_object(const std::filesystem::path& path) {
  const MappedFile file(path);
  auto parsed = parse_json({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()});
  if (const auto* error = std::get_if<JsonError>(&parsed)) {
    throw model_file_error(path.string(), "offset " + std::to_string(error->offset), error->rule);
  }
  if (!std::get<Json>(parsed).is_object()) {
    throw model_file_error(path.string(), "offset 0", "must be a JSON object");
  }
  return std::get<Json>(std::move(parsed));
}

void ConfigReader::fail(const std::string& key, std::string_view rule) const {
  throw model_file_error(file_, prefix_ + key, rule);
}

void ConfigReader::refuse(const std::string& key, std::string_view what) const {
  throw unsupported_error(file_, prefix_ + key, what);
}

const Json* ConfigReader::find(const std::string& key) const {
  const Json* value = find_(prefix_ + key);
  return value != nullptr && value->is_null() ? nullptr : value;
}

int64_t ConfigReader::extent(const std::string& key, std::optional<int64_t> fallback) const {
  const Json* value = find(key);
  if (value == nullptr) {
    if (!fallback) {
      fail(key, "is missing");
    }
    return *fallback;
  }
  const int64_t most = key.find("vocab") != std::string::npos ? kMaxVocab : int64_t{1} << 31;
  if (!value->is_int() || value->as_int() < 1 || value->as_int() > most) {
    fail(key, "must be a whole number from 1 to " + std::to_string(most));
  }
  return value->as_int();
}

double ConfigReader::positive(const std::string& key, std::optional<double> fallback) const {
  const Json* value = find(key);
  if (value == nullptr) {
    if (!fallback) {
      fail(key, "is missing");
    }
    return *fallback;
  }
  if (!value->is_number() || !std::isfinite(value->as_double()) || !(value->as_double() > 0)) {
    fail(key, "must be a number above 0");
  }
  return value->as_double();
}

bool ConfigReader::boolean(const std::string& key, bool fallback) const {
  const Json* value = find(key);
  if (value != nullptr && !value->is_bool()) {
    fail(key, "must be true or false");
  }
  return value == nullptr ? fallback : value->as_bool();
}

std::string ConfigReader::string(const std::string& key, std::optional<std::string> fallback) const {
  const Json* value = find(key);
  if (value == nullptr) {
    if (!fallback) {
      fail(key, "is missing");
    }
    return *fallback;
  }
  if (!value->is_string()) {
    fail(key, "must be a string");
  }
  return value->as_string();
}

std::vector<int32_t> ConfigReader::token_ids(const std::string& key, int64_t vocab) const {
  const Json* value = find(key);
  std::vector<int32_t> ids;
  const auto add = [&](const Json& id) {
    if (!id.is_int() || id.as_int() < 0 || id.as_int() >= vocab) {
      fail(key, "must be a token of the vocabulary of " + std::to_string(vocab));
    }
    ids.push_back(static_cast<int32_t>(id.as_int()));
  };
  if (value != nullptr && value->is_array()) {
    for (const Json& id : value->as_array()) {
      add(id);
    }
  } else if (value != nullptr) {
    add(*value);
  }
  return ids;
}

}  // namespace longship
