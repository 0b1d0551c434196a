#include "launcher/server/fields.h"

#include <cmath>
#include <cstdio>

#include "launcher/server/api_error.h"

namespace longship {

namespace {

std::string number_text(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%g", value);
  return text;
}

}  // namespace

void Fields::fail(std::string_view key, const std::string& rule) const {
  const std::string name = prefix_ + std::string(key);
  throw ApiError{.status = 400, .message = name + " " + rule, .param = name};
}

const Json* Fields::member(std::string_view key) const {
  if (!asked_.contains(key)) {
    asked_.emplace(key);
  }
  return object_.find(key);
}

const Json* Fields::find(std::string_view key) const {
  const Json* value = member(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::vector<std::string> Fields::unread() const {
  std::vector<std::string> names;
  for (const auto& [key, value] : object_.as_object()) {
    if (!value.is_null() && !asked_.contains(key)) {
      names.push_back(key);
    }
  }
  return names;
}

std::optional<bool> Fields::flag(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) {
    return std::nullopt;
  }
  if (!value->is_bool()) {
    fail(key, "must be a boolean");
  }
  return value->as_bool();
}

std::optional<int64_t> Fields::integer(std::string_view key, int64_t least, int64_t most) const {
  const Json* value = find(key);
  if (value == nullptr) {
    return std::nullopt;
  }
  // 16.0 is an integer to those who write JSON from floats.
  const bool whole = value->is_int() || (value->is_double() && std::abs(value->as_double()) < 1e15 &&
                                         std::floor(value->as_double()) == value->as_double());
  if (!whole) {
    fail(key, "must be an integer");
  }
  const int64_t number = value->is_int() ? value->as_int() : static_cast<int64_t>(value->as_double());
  if (number < least || number > most) {
    fail(key, "must be between " + std::to_string(least) + " and " + std::to_string(most));
  }
  return number;
}

std::optional<double> Fields::number(std::string_view key, double least, double most) const {
  const Json* value = find(key);
  if (value == nullptr) {
    return std::nullopt;
  }
  if (!value->is_number()) {
    fail(key, "must be a number");
  }
  const double number = value->as_double();
  if (!(number >= least && number <= most)) {
    fail(key, "must be between " + number_text(least) + " and " + number_text(most));
  }
  return number;
}

std::optional<std::string> Fields::text(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) {
    return std::nullopt;
  }
  if (!value->is_string()) {
    fail(key, "must be a string");
  }
  return value->as_string();
}

std::vector<std::string> Fields::texts(std::string_view key, std::size_t most) const {
  const Json* value = find(key);
  if (value == nullptr) {
    return {};
  }
  if (value->is_string()) {
    return {value->as_string()};
  }
  if (!value->is_array()) {
    fail(key, "must be a string or an array of strings");
  }
  std::vector<std::string> result;
  for (const Json& item : value->as_array()) {
    if (!item.is_string()) {
      fail(key, "must be a string or an array of strings");
    }
    result.push_back(item.as_string());
  }
  if (result.size() > most) {
    fail(key, "must have at most " + std::to_string(most) + " entries");
  }
  return result;
}

std::vector<int32_t> Fields::ids(std::string_view key, int64_t vocab) const {
  const Json* value = find(key);
  if (value == nullptr) {
    return {};
  }
  if (!value->is_array()) {
    fail(key, "must be an array of token ids");
  }
  std::vector<int32_t> result;
  result.reserve(value->as_array().size());
  for (const Json& item : value->as_array()) {
    if (!item.is_int()) {
      fail(key, "must be an array of token ids: integers");
    }
    if (item.as_int() < 0 || item.as_int() >= vocab) {
      fail(key, "has a token id that is out of vocabulary: " + std::to_string(item.as_int()) + "; ids go from 0 to " +
                    std::to_string(vocab - 1) + " of " + std::to_string(vocab));
    }
    result.push_back(static_cast<int32_t>(item.as_int()));
  }
  return result;
}

}  // namespace longship
