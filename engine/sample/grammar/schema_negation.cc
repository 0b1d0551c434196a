#include "engine/sample/grammar/schema_negation.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "engine/sample/grammar/schema_merge.h"
#include "engine/sample/grammar/schema_words.h"

namespace longship {

namespace {

Json typed(const char* type, const char* keyword, Json value) {
  return Json::Object{{"type", type}, {keyword, std::move(value)}};
}

// Numbers that are no integers cannot be said.
Json of_other_types(const std::set<std::string>& types) {
  Json::Array others;
  for (const char* type : {"object", "array", "string", "boolean", "null", "number"}) {
    const bool number = type == std::string_view("number") && types.contains("integer");
    if (!types.contains(type) && !number) others.emplace_back(type);
  }
  return Json::Object{{"type", std::move(others)}};
}

// Each keyword that fails is a way for the schema to fail.
class Negation {
 public:
  explicit Negation(const Json& schema) : schema_(schema) {}

  Json read() {
    for (const auto& [keyword, value] : schema_.as_object()) {
      if (is_keyword(keyword) || keyword == kNotPatterns || keyword == kOtherThan) add(keyword, value);
    }
    if (ways_.empty()) return false;
    return Json::Object{{"anyOf", std::move(ways_)}};
  }

 private:
  void add(const std::string& keyword, const Json& value) {
    if (keyword == "type") {
      const std::vector<std::string> types = types_of(schema_);
      ways_.push_back(of_other_types({types.begin(), types.end()}));
    } else if (keyword == "enum") {
      add_other_values(value);
    } else if (keyword == "anyOf") {
      add_none_of(value);
    } else if (keyword == "properties") {
      for (const auto& [name, said] : value.is_object() ? value.as_object() : Json::Object{}) {
        ways_.push_back(Json::Object{{"type", "object"},
                                     {"properties", Json::Object{{name, Json::Object{{"not", said}}}}},
                                     {"required", Json::Array{name}}});
      }
    } else if (keyword == "required") {
      for (const Json& name : value.is_array() ? value.as_array() : Json::Array{}) {
        if (!name.is_string()) refuse_schema("\"required\" is no array of strings");
        ways_.push_back(typed("object", kAbsent, Json::Array{name}));
      }
    } else if (keyword == kAbsent) {
      for (const std::string& name : absent_names(schema_)) {
        ways_.push_back(typed("object", "required", Json::Array{name}));
      }
    } else if (keyword == kNotPatterns) {
      for (const Json& pattern : value.is_array() ? value.as_array() : Json::Array{})
        ways_.push_back(typed("string", "pattern", pattern));
    } else if (keyword == kOtherThan) {
      ways_.push_back(typed("string", "enum", value));
    } else if (keyword == "pattern") {
      ways_.push_back(typed("string", kNotPatterns, Json::Array{value}));
    } else if (!add_bound(keyword, value)) {
      refuse_schema("\"" + keyword + "\" within \"not\" or \"if\" is not supported");
    }
  }

  bool add_bound(const std::string& keyword, const Json& value) {
    struct Bound {
      const char* type;
      const char* keyword;
      const char* other;
      int step;  // 0: the bound itself
    };
    static const std::vector<Bound> kBounds = {{"number", "minimum", "exclusiveMaximum", 0},
                                               {"number", "maximum", "exclusiveMinimum", 0},
                                               {"number", "exclusiveMinimum", "maximum", 0},
                                               {"number", "exclusiveMaximum", "minimum", 0},
                                               {"string", "minLength", "maxLength", -1},
                                               {"string", "maxLength", "minLength", 1},
                                               {"array", "minItems", "maxItems", -1},
                                               {"array", "maxItems", "minItems", 1},
                                               {"object", "minProperties", "maxProperties", -1},
                                               {"object", "maxProperties", "minProperties", 1}};
    const auto bound = std::ranges::find_if(kBounds, [&](const Bound& one) { return one.keyword == keyword; });
    if (bound == kBounds.end()) return false;
    if (bound->step == 0) {
      ways_.push_back(typed(bound->type, bound->other, value));
      return true;
    }
    const int64_t other = int64_t{count_of(schema_, bound->keyword).value_or(0)} + bound->step;
    if (other >= 0) ways_.push_back(typed(bound->type, bound->other, other));
    return true;
  }

  void add_none_of(const Json& alternatives) {
    Json::Array all;
    for (const Json& one : alternatives.is_array() ? alternatives.as_array() : Json::Array{}) {
      all.emplace_back(Json::Object{{"not", one}});
    }
    ways_.emplace_back(Json::Object{{"allOf", std::move(all)}});
  }

  // Of types that a value of the list has, other strings, booleans and numbers.
  void add_other_values(const Json& list) {
    std::set<std::string> types;
    Json::Array strings;
    Json::Array numbers;
    for (const Json& value : list.is_array() ? list.as_array() : Json::Array{}) {
      types.insert(value.is_number() ? "number" : std::string(value.type_name()));
      if (value.is_string()) strings.push_back(value);
      if (value.is_number()) numbers.push_back(value);
      if (value.is_array() || value.is_object()) {
        refuse_schema("objects and arrays of \"enum\" or \"const\" within \"not\" or \"if\" are not supported");
      }
    }
    ways_.push_back(of_other_types(types));
    if (!strings.empty()) ways_.push_back(typed("string", kOtherThan, std::move(strings)));
    for (const bool value : {false, true}) {
      const auto& all = list.as_array();
      const bool other = types.contains("boolean") && std::find(all.begin(), all.end(), Json(value)) == all.end();
      if (other) ways_.push_back(typed("boolean", "enum", Json::Array{value}));
    }
    add_other_numbers(std::move(numbers));
  }

  void add_other_numbers(Json::Array numbers) {
    if (numbers.empty()) return;
    std::ranges::sort(numbers, {}, [](const Json& number) { return number.as_double(); });
    ways_.push_back(typed("number", "exclusiveMaximum", numbers.front()));
    ways_.push_back(typed("number", "exclusiveMinimum", numbers.back()));
    for (std::size_t i = 1; i < numbers.size(); ++i) {
      Json between = typed("number", "exclusiveMinimum", numbers[i - 1]);
      between.set("exclusiveMaximum", numbers[i]);
      ways_.push_back(std::move(between));
    }
  }

  const Json& schema_;
  Json::Array ways_;
};

}  // namespace

Json negated(const Json& schema) {
  return schema.is_bool() ? Json(!schema.as_bool()) : Negation(schema).read();
}

}  // namespace longship
