#pragma once

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "core/json.h"

namespace longship {

/// Random JSON schemas of what the grammars support, with references back into themselves.
class RandomSchema {
 public:
  explicit RandomSchema(unsigned seed) : random_(seed) {}

  Json make() {
    Json root = schema(0);
    if (root.is_bool()) root = typed("object", 0);
    Json defs;
    for (const char* name : {"a", "b"}) defs.set(name, object(2));
    root.set("$defs", std::move(defs));
    return root;
  }

 private:
  int below(int count) { return static_cast<int>(random_() % static_cast<unsigned>(count)); }
  bool chance(int percent) { return below(100) < percent; }

  Json schema(int depth) {
    const int kind = below(depth > 2 ? 60 : 100);
    if (kind < 4) return true;
    if (kind < 12) return enumeration();
    if (kind < 60) return typed(scalar_type(), depth);
    if (kind < 66) return several("anyOf", depth);
    if (kind < 68) return one_of(depth);
    if (kind < 72) return all_of(depth);
    if (kind < 78 && depth > 0) return reference();
    if (kind < 82) return types(depth);
    return chance(50) ? object(depth) : array(depth);
  }

  std::string scalar_type() {
    constexpr const char* kTypes[] = {"string", "integer", "number", "boolean", "null"};
    return kTypes[below(5)];
  }

  Json typed(const std::string& type, int depth) {
    if (type == "object") return object(depth);
    Json result;
    result.set("type", type);
    if (chance(30)) result.set("description", "what it is");
    if (type == "string") restrict_string(result);
    if (type == "integer" || type == "number") restrict_number(result, type == "number");
    return result;
  }

  void restrict_string(Json& schema) {
    constexpr const char* kPatterns[] = {"^[a-z]+$", "^(foo|b\"ar\\\\|\\n)*$", "^\\d{3}-\\w{1,4}$", "^[^a-z]?x$",
                                         "^.{2,5}$"};
    if (chance(25)) {
      schema.set("pattern", kPatterns[below(5)]);
      return;
    }
    const int least = below(4);
    if (chance(40)) schema.set("minLength", least);
    if (chance(40)) schema.set("maxLength", least + below(chance(20) ? 200 : 5));
  }

  void restrict_number(Json& schema, bool fractions) {
    const auto bound = [&] {
      const int64_t whole = chance(20) ? static_cast<int64_t>(random_()) - (int64_t{1} << 31U) : below(220) - 110;
      return fractions && chance(60) ? Json(static_cast<double>(whole) + static_cast<double>(below(1000)) / 1000)
                                     : Json(whole);
    };
    const Json a = bound();
    const Json b = bound();
    const Json& low = a.as_double() <= b.as_double() ? a : b;
    const Json& high = a.as_double() <= b.as_double() ? b : a;
    if (chance(50)) schema.set(chance(70) ? "minimum" : "exclusiveMinimum", low);
    if (chance(50)) schema.set(chance(70) ? "maximum" : "exclusiveMaximum", high);
  }

  Json enumeration() {
    const std::vector<Json> values = {"red",
                                      "green \"1\"",
                                      "grün",
                                      0,
                                      -17,
                                      2.5,
                                      true,
                                      nullptr,
                                      Json::Array{1, "x"},
                                      Json::Object{{"k", Json::Array{}}}};
    Json result;
    if (chance(30)) {
      result.set("const", values[static_cast<std::size_t>(below(10))]);
      return result;
    }
    Json::Array chosen;
    for (int i = 0; i <= below(4); ++i) chosen.push_back(values[static_cast<std::size_t>(below(10))]);
    result.set("enum", chosen);
    if (chance(30)) result.set("maxLength", 2 + below(6));
    if (chance(20)) result.set("minimum", below(5) - 2);
    if (chance(10)) result.set("maxItems", below(4));
    return result;
  }

  Json several(const char* keyword, int depth) {
    Json::Array parts;
    for (int i = 0; i < 2 + below(2); ++i) parts.push_back(schema(depth + 1));
    Json result;
    result.set(keyword, parts);
    return result;
  }

  // Values of different types, or objects that a property tells apart.
  Json one_of(int depth) {
    constexpr const char* kTypes[] = {"integer", "string", "null"};
    const bool objects = chance(50);
    Json::Array parts;
    for (int i = 0; i < 2 + below(2); ++i) {
      Json part = objects ? open_object(depth) : typed(kTypes[i], depth);
      if (objects) {
        Json kind;
        kind.set("const", i);
        Json properties = part.find("properties") == nullptr ? Json(Json::Object{}) : *part.find("properties");
        properties.set("kind", kind);
        part.set("properties", std::move(properties));
        part.set("required", Json::Array{"kind"});
      }
      parts.push_back(std::move(part));
    }
    Json result;
    result.set("oneOf", parts);
    return result;
  }

  // Objects that have something to do with each other.
  Json all_of(int depth) {
    Json result;
    result.set("allOf", Json::Array{open_object(depth), open_object(depth)});
    return result;
  }

  Json open_object(int depth) {
    Json result = object(depth + 1);
    std::erase_if(result.as_object(),
                  [](const Json::Member& member) { return member.first == "additionalProperties"; });
    return result;
  }

  Json reference() {
    Json result;
    result.set("$ref", chance(50) ? "#/$defs/a" : "#/$defs/b");
    return result;
  }

  Json types(int depth) {
    Json::Array list;
    for (int i = 0; i < 2; ++i) list.emplace_back(scalar_type());
    Json result;
    result.set("type", list);
    if (chance(30)) result.set("maxLength", below(6));
    (void)depth;
    return result;
  }

  Json object(int depth) {
    constexpr const char* kNames[] = {"name", "names", "n", "a\"b", "größe", "x y"};
    Json result;
    result.set("type", "object");
    Json properties{Json::Object{}};
    Json::Array required;
    for (int i = 0; i < below(5); ++i) {
      const char* name = kNames[below(6)];
      if (properties.find(name) == nullptr && chance(50)) required.emplace_back(name);
      if (properties.find(name) == nullptr) properties.set(name, schema(depth + 1));
    }
    if (chance(90)) result.set("properties", properties);
    if (chance(60)) result.set("required", required);
    if (chance(40)) result.set("additionalProperties", chance(50) ? Json(chance(50)) : schema(depth + 1));
    const auto named = static_cast<int>(properties.as_object().size());
    if (chance(20)) result.set("minProperties", below(named + 1));
    if (chance(20)) result.set("maxProperties", std::max(0, named + below(3) - below(2)));
    return result;
  }

  Json array(int depth) {
    Json result;
    result.set("type", "array");
    if (chance(30)) {
      Json::Array prefix;
      for (int i = 0; i <= below(3); ++i) prefix.push_back(schema(depth + 1));
      result.set("prefixItems", prefix);
    }
    if (chance(80)) result.set("items", schema(depth + 1));
    const int least = below(4);
    if (chance(40)) result.set("minItems", least);
    if (chance(60)) result.set("maxItems", least + below(4));
    return result;
  }

  std::mt19937 random_;
};

}  // namespace longship
