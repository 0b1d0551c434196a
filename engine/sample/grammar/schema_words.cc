#include "engine/sample/grammar/schema_words.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>

#include "engine/sample/grammar/schema_merge.h"

namespace longship {

namespace {

constexpr uint32_t kMostCount = 1'000'000'000;

// Keywords that describe one type of value; a schema without a type is of those that its keywords are about.
struct Family {
  const char* type;
  std::vector<const char*> keywords;
};
const std::vector<Family>& families() {
  static const std::vector<Family> kFamilies = {
      {"object",
       {"properties", "required", "additionalProperties", "minProperties", "maxProperties", "patternProperties",
        "propertyNames", kAbsent}},
      {"array", {"items", "prefixItems", "minItems", "maxItems", "uniqueItems"}},
      {"string", {"minLength", "maxLength", "pattern", "format"}},
      {"number", {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}},
  };
  return kFamilies;
}

bool is_supported(std::string_view keyword) {
  static const std::set<std::string_view> kOthers = {"type",  "enum",  "const", "anyOf",
                                                     "oneOf", "allOf", "$ref",  "nullable"};
  const auto has = [&](const Family& family) {
    return std::find(family.keywords.begin(), family.keywords.end(), keyword) != family.keywords.end();
  };
  return kOthers.contains(keyword) || is_annotation(keyword) || std::any_of(families().begin(), families().end(), has);
}

// Words of JSON Schema that would change the meaning, those of old drafts as well. Words that are none of its words
// mean nothing.
bool is_unsupported(std::string_view keyword) {
  static const std::set<std::string_view> kKeywords = {"contains",      "minContains", "maxContains", "$dynamicRef",
                                                       "$recursiveRef", "disallow",    "divisibleBy", "extends"};
  return kKeywords.contains(keyword);
}

// A whole number that a double holds as an integer, as far as that goes.
Json as_integer(const Json& value) {
  constexpr double kMost = 9.2e18;
  const bool whole =
      value.is_double() && std::abs(value.as_double()) < kMost && std::floor(value.as_double()) == value.as_double();
  return whole ? Json(static_cast<int64_t>(value.as_double())) : value;
}

Json canonical_form(const Json& value) {
  if (value.is_array()) {
    Json::Array items;
    for (const Json& item : value.as_array()) items.push_back(canonical_form(item));
    return items;
  }
  if (value.is_object()) {
    Json::Object members;
    for (const auto& [key, member] : value.as_object()) members.emplace_back(key, canonical_form(member));
    std::sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    return members;
  }
  return as_integer(value);
}

bool is_whole(const Json& value) {
  return value.is_int() || (value.is_double() && std::floor(value.as_double()) == value.as_double());
}

}  // namespace

void check_keywords(const Json& schema) {
  for (const auto& [keyword, value] : schema.as_object()) {
    const bool alone = (keyword == "minContains" || keyword == "maxContains") && schema.find("contains") == nullptr;
    if (is_unsupported(keyword) && !alone) {
      refuse_schema("the keyword \"" + keyword + "\" is not supported");
    }
  }
}

bool same_value(const Json& a, const Json& b) {
  if (a.is_array() || a.is_object()) return a.type_name() == b.type_name() && canonical_form(a) == canonical_form(b);
  return as_integer(a) == as_integer(b);
}

std::string canonical(const Json& value) {
  return dump_json(canonical_form(value));
}

bool is_keyword(std::string_view keyword) {
  return (is_supported(keyword) && !is_annotation(keyword)) || is_unsupported(keyword);
}

std::vector<std::string> absent_names(const Json& schema) {
  const Json* list = schema.find(kAbsent);
  std::vector<std::string> names;
  for (const Json& name : list != nullptr && list->is_array() ? list->as_array() : Json::Array{}) {
    if (name.is_string()) names.push_back(name.as_string());
  }
  return names;
}

bool is_absent(const Json& schema, const std::string& name) {
  const std::vector<std::string> names = absent_names(schema);
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_of_type(const Json& value, const std::string& type) {
  if (type == "integer") return is_whole(value);
  if (type == "number") return value.is_number();
  return value.type_name() == type;
}

std::vector<std::string> types_of(const Json& schema) {
  std::vector<std::string> types;
  const Json* type = schema.find("type");
  if (type == nullptr) {
    for (const Family& family : families()) {
      const auto has = [&](const char* keyword) { return schema.find(keyword) != nullptr; };
      if (std::any_of(family.keywords.begin(), family.keywords.end(), has)) types.emplace_back(family.type);
    }
    if (types.empty()) types = {"object", "array", "string", "number", "boolean", "null"};
  } else {
    for (const Json& one : type->is_array() ? type->as_array() : Json::Array{*type}) {
      if (!one.is_string()) refuse_schema("\"type\" is no string and no array of strings");
      types.push_back(one.as_string());
    }
  }
  return types;
}

std::optional<uint32_t> count_of(const Json& schema, const char* keyword) {
  const Json* count = schema.find(keyword);
  if (count == nullptr) return std::nullopt;
  if (!is_whole(*count) || count->as_double() < 0) refuse_schema("\"" + std::string(keyword) + "\" is no count");
  return static_cast<uint32_t>(std::min<double>(kMostCount, count->as_double()));
}

std::pair<std::optional<NumberBound>, std::optional<NumberBound>> bounds_of(const Json& schema) {
  const auto bound = [&](const char* inclusive, const char* exclusive, double sign) {
    std::optional<NumberBound> result;
    const auto take = [&](const char* keyword, bool is_exclusive) {
      const Json* value = schema.find(keyword);
      if (value == nullptr) return;
      if (!value->is_number()) refuse_schema("\"" + std::string(keyword) + "\" is no number");
      const double x = value->as_double();
      if (!result || sign * x > sign * result->value || (x == result->value && is_exclusive)) {
        result = {x, is_exclusive};
      }
    };
    take(inclusive, false);
    take(exclusive, true);
    return result;
  };
  return {bound("minimum", "exclusiveMinimum", 1), bound("maximum", "exclusiveMaximum", -1)};
}

std::pair<int64_t, int64_t> integers_of(const Json& schema) {
  // Bounds that are whole numbers are exact, beyond what a double holds as well.
  const auto exact = [&](const char* inclusive, const char* exclusive, int64_t missing, int64_t inwards) {
    int64_t result = missing;
    const auto take = [&](const char* keyword, bool is_exclusive) {
      const Json* value = schema.find(keyword);
      if (value == nullptr) return;
      int64_t bound = 0;
      if (value->is_int()) {
        bound = value->as_int();
      } else {
        const double x = std::clamp(value->as_double(), -1e18, 1e18);  // beyond what is written
        bound = static_cast<int64_t>(inwards > 0 ? std::ceil(x) : std::floor(x));
        is_exclusive = is_exclusive && static_cast<double>(bound) == x;
      }
      bound = std::clamp(bound, -kMostInteger - 1, kMostInteger + 1) + (is_exclusive ? inwards : 0);
      result = inwards > 0 ? std::max(result, bound) : std::min(result, bound);
    };
    take(inclusive, false);
    take(exclusive, true);
    return result;
  };
  bounds_of(schema);  // refuses what is no number
  return {exact("minimum", "exclusiveMinimum", -kMostInteger, 1),
          exact("maximum", "exclusiveMaximum", kMostInteger, -1)};
}

std::optional<Multiple> multiple_in(const Json& schema) {
  const Json* value = schema.find("multipleOf");
  if (value == nullptr) return std::nullopt;
  if (!value->is_number() || value->as_double() <= 0) refuse_schema("\"multipleOf\" is no number above 0");
  const std::optional<Multiple> multiple = multiple_of(value->as_double());
  if (!multiple) {
    refuse_schema("a \"multipleOf\" of more than " + std::to_string(kDigitsOfDoubles) +
                  " decimals, or of 2^53 or more, is not supported");
  }
  return multiple;
}

}  // namespace longship
