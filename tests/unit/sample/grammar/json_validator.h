#pragma once

#include <algorithm>
#include <cmath>
#include <regex>
#include <string>
#include <string_view>

#include "core/json.h"
#include "engine/sample/grammar/code_points.h"

namespace longship {

/// Whether a value is what a JSON schema says, by the rules of JSON Schema 2020-12 as far as the generator of random
/// schemas goes. Written apart from the grammars: it looks at values, not at texts.
class JsonValidator {
 public:
  explicit JsonValidator(const Json& root) : root_(root) {}

  bool valid(const Json& value) const { return valid(root_, value); }

 private:
  bool valid(const Json& schema, const Json& value) const {
    if (schema.is_bool()) return schema.as_bool();
    for (const auto& [keyword, said] : schema.as_object()) {
      if (!holds(schema, keyword, said, value)) return false;
    }
    return true;
  }

  bool holds(const Json& schema, const std::string& keyword, const Json& said, const Json& value) const {
    const auto sub = [&](const Json& one) { return valid(one, value); };
    if (keyword == "$ref") return valid(*root_.find("$defs")->find(said.as_string().substr(8)), value);
    if (keyword == "allOf") return std::all_of(said.as_array().begin(), said.as_array().end(), sub);
    if (keyword == "anyOf") return std::any_of(said.as_array().begin(), said.as_array().end(), sub);
    if (keyword == "oneOf") return std::count_if(said.as_array().begin(), said.as_array().end(), sub) == 1;
    if (keyword == "enum") {
      return std::any_of(said.as_array().begin(), said.as_array().end(),
                         [&](const Json& one) { return same(one, value); });
    }
    if (keyword == "const") return same(said, value);
    if (keyword == "type") return is_type(said, value);
    if (value.is_number()) return number_holds(keyword, said, value.as_double());
    if (value.is_string()) return string_holds(keyword, said, value.as_string());
    if (value.is_array()) return array_holds(schema, keyword, said, value.as_array());
    return !value.is_object() || object_holds(schema, keyword, said, value);
  }

  static bool same(const Json& a, const Json& b) {
    return a == b || (a.is_number() && b.is_number() && a.as_double() == b.as_double());
  }

  static bool is_type(const Json& said, const Json& value) {
    if (said.is_array()) {
      return std::any_of(said.as_array().begin(), said.as_array().end(),
                         [&](const Json& one) { return is_type(one, value); });
    }
    const std::string& type = said.as_string();
    if (type == "integer") return value.is_number() && std::floor(value.as_double()) == value.as_double();
    return type == "number" ? value.is_number() : value.type_name() == type;
  }

  static bool number_holds(const std::string& keyword, const Json& said, double value) {
    if (keyword == "minimum") return value >= said.as_double();
    if (keyword == "maximum") return value <= said.as_double();
    if (keyword == "exclusiveMinimum") return value > said.as_double();
    if (keyword == "exclusiveMaximum") return value < said.as_double();
    return true;
  }

  static bool string_holds(const std::string& keyword, const Json& said, const std::string& value) {
    const auto characters = std::count_if(value.begin(), value.end(),
                                          [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; });
    if (keyword == "minLength") return characters >= said.as_int();
    if (keyword == "maxLength") return characters <= said.as_int();
    return keyword != "pattern" || std::regex_search(wide(value), std::wregex(wide(said.as_string())));
  }

  static std::wstring wide(std::string_view text) {
    std::wstring result;
    while (!text.empty()) result.push_back(static_cast<wchar_t>(take_code_point(text)));
    return result;
  }

  bool array_holds(const Json& schema, const std::string& keyword, const Json& said, const Json::Array& items) const {
    const auto size = static_cast<int64_t>(items.size());
    const Json* prefix = schema.find("prefixItems");
    const std::size_t fixed = prefix == nullptr ? 0 : prefix->as_array().size();
    if (keyword == "minItems") return size >= said.as_int();
    if (keyword == "maxItems") return size <= said.as_int();
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (keyword == "prefixItems" && i < fixed && !valid(said.as_array()[i], items[i])) return false;
      if (keyword == "items" && i >= fixed && !valid(said, items[i])) return false;
    }
    return true;
  }

  bool object_holds(const Json& schema, const std::string& keyword, const Json& said, const Json& value) const {
    if (keyword == "required") {
      return std::all_of(said.as_array().begin(), said.as_array().end(),
                         [&](const Json& name) { return value.find(name.as_string()) != nullptr; });
    }
    if (keyword == "minProperties") return std::ssize(value.as_object()) >= said.as_int();
    if (keyword == "maxProperties") return std::ssize(value.as_object()) <= said.as_int();
    const Json* named = schema.find("properties");
    for (const auto& [name, member] : value.as_object()) {
      const Json* property = named == nullptr ? nullptr : named->find(name);
      if (keyword == "properties" && property != nullptr && !valid(*property, member)) return false;
      if (keyword == "additionalProperties" && property == nullptr && !valid(said, member)) return false;
    }
    return true;
  }

  const Json& root_;
};

}  // namespace longship
