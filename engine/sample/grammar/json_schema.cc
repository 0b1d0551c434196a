#include "engine/sample/grammar/json_schema.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/sample/grammar/json_format.h"
#include "engine/sample/grammar/json_number.h"
#include "engine/sample/grammar/json_text.h"
#include "engine/sample/grammar/regex.h"
#include "engine/sample/grammar/schema_merge.h"

namespace longship {

namespace {

constexpr int64_t kMostSchemaNodes = 10'000;
constexpr int kMostSchemaDepth = 64;
constexpr uint32_t kMostCount = 1'000'000'000;

// Keywords that describe one type of value; a schema without a type is of those that its keywords are about.
struct Family {
  const char* type;
  std::vector<const char*> keywords;
};
const std::vector<Family>& families() {
  static const std::vector<Family> kFamilies = {
      {"object", {"properties", "required", "additionalProperties"}},
      {"array", {"items", "prefixItems", "minItems", "maxItems"}},
      {"string", {"minLength", "maxLength", "pattern", "format"}},
      {"number", {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}},
  };
  return kFamilies;
}

bool is_supported(std::string_view keyword) {
  static const std::set<std::string_view> kOthers = {"type",  "enum", "const",    "anyOf",  "oneOf",
                                                     "allOf", "$ref", "nullable", "$anchor"};
  const auto has = [&](const Family& family) {
    return std::find(family.keywords.begin(), family.keywords.end(), keyword) != family.keywords.end();
  };
  return kOthers.contains(keyword) || is_annotation(keyword) || std::any_of(families().begin(), families().end(), has);
}

// Words of JSON Schema that would change the meaning. Words that are none of its words mean nothing.
bool is_unsupported(std::string_view keyword, const Json& value) {
  static const std::set<std::string_view> kKeywords = {"not",
                                                       "if",
                                                       "then",
                                                       "else",
                                                       "dependencies",
                                                       "dependentRequired",
                                                       "dependentSchemas",
                                                       "patternProperties",
                                                       "propertyNames",
                                                       "minProperties",
                                                       "maxProperties",
                                                       "unevaluatedProperties",
                                                       "contains",
                                                       "minContains",
                                                       "maxContains",
                                                       "unevaluatedItems",
                                                       "uniqueItems",
                                                       "additionalItems",
                                                       "multipleOf",
                                                       "$dynamicRef",
                                                       "$recursiveRef"};
  const bool changes_nothing = (keyword == "uniqueItems" || keyword == "additionalItems") && value == Json(false);
  return kKeywords.contains(keyword) && !changes_nothing && !(keyword == "minProperties" && value == Json(0));
}

void check_keywords(const Json& schema) {
  for (const auto& [keyword, value] : schema.as_object()) {
    if (!is_supported(keyword) && is_unsupported(keyword, value)) {
      refuse_schema("the keyword \"" + keyword + "\" is not supported");
    }
  }
}

int64_t check_size(const Json& json, int depth) {
  if (depth > kMostSchemaDepth) {
    refuse_schema("it is nested more than " + std::to_string(kMostSchemaDepth) + " deep");
  }
  int64_t nodes = 1;
  if (json.is_array()) {
    for (const Json& item : json.as_array()) nodes += check_size(item, depth + 1);
  } else if (json.is_object()) {
    for (const auto& [key, value] : json.as_object()) nodes += check_size(value, depth + 1);
  }
  if (nodes > kMostSchemaNodes) {
    refuse_schema("it has more than " + std::to_string(kMostSchemaNodes) + " nodes");
  }
  return nodes;
}

bool is_whole(const Json& value) {
  return value.is_int() || (value.is_double() && std::floor(value.as_double()) == value.as_double());
}

bool is_of_type(const Json& value, const std::string& type) {
  if (type == "integer") return is_whole(value);
  if (type == "number") return value.is_number();
  return value.type_name() == type;
}

class SchemaReader {
 public:
  SchemaReader(Grammar& grammar, const Json& root) : root_(root), grammar_(grammar), merge_(root), text_(grammar) {}

  ExprId read() {
    check_size(root_, 0);
    const RuleId root = grammar_.add_rule("#");
    rules_["#"] = root;
    pending_.emplace_back(root, root_);
    while (!pending_.empty()) {
      const auto [rule, schema] = std::move(pending_.back());
      pending_.pop_back();
      grammar_.define(rule, plain_reference(schema) != nullptr ? value(schema) : body(merge_.flat(schema)));
    }
    return grammar_.call(root);
  }

 private:
  // Values of a schema are a rule, the same for the same schema: so recursion ends, and its masks are shared.
  ExprId value(const Json& schema) {
    const Json* reference = plain_reference(schema);
    const bool named = reference != nullptr;
    const std::string key = named ? reference->as_string() : dump_json(schema);
    auto known = rules_.find(key);
    if (known == rules_.end()) {
      known = rules_.emplace(key, grammar_.add_rule(key.substr(0, 60), true)).first;
      pending_.emplace_back(known->second, named ? merge_.target(key) : schema);
    }
    return grammar_.call(known->second);
  }

  ExprId body(const Json& schema) {
    if (schema.is_bool()) return schema.as_bool() ? text_.value() : grammar_.nothing();
    check_keywords(schema);
    for (const char* keyword : {"anyOf", "oneOf"}) {
      if (const Json* alternatives = schema.find(keyword); alternatives != nullptr) {
        return any_of(schema, keyword, *alternatives);
      }
    }
    if (const Json* values = schema.find("enum"); values != nullptr) return one_of_values(schema, *values);
    std::vector<ExprId> alternatives;
    for (const std::string& type : types_of(schema)) alternatives.push_back(of_type(schema, type));
    return grammar_.choice(alternatives);
  }

  ExprId any_of(const Json& schema, std::string_view keyword, const Json& alternatives) {
    if (!alternatives.is_array() || alternatives.as_array().empty()) {
      refuse_schema("\"" + std::string(keyword) + "\" is no array of schemas");
    }
    Json rest = schema;
    std::erase_if(rest.as_object(),
                  [&](const Json::Member& member) { return member.first == keyword || is_annotation(member.first); });
    std::vector<ExprId> choices;
    for (const Json& alternative : alternatives.as_array()) {
      choices.push_back(value(rest.as_object().empty() ? alternative : merge_.both(rest, alternative)));
    }
    return grammar_.choice(choices);
  }

  ExprId one_of_values(const Json& schema, const Json& values) {
    if (!values.is_array()) refuse_schema("\"enum\" is no array");
    std::vector<std::string> texts;
    for (const Json& value : values.as_array()) {
      if (allows(schema, value)) texts.push_back(dump_json(value));
    }
    return grammar_.one_of(std::move(texts));
  }

  // Whether a value of an enumeration is what the keywords beside it ask for.
  bool allows(const Json& schema, const Json& value) const {
    if (schema.find("type") != nullptr) {
      const std::vector<std::string> types = types_of(schema);
      const auto fits = [&](const std::string& type) { return is_of_type(value, type); };
      if (std::none_of(types.begin(), types.end(), fits)) return false;
    }
    for (const auto& [keyword, bound] : schema.as_object()) {
      const bool about_type = keyword == "type" || keyword == "enum" || keyword == "nullable" || keyword == "$anchor";
      if (about_type || is_annotation(keyword) || !is_supported(keyword)) continue;
      const bool number = std::find(families()[3].keywords.begin(), families()[3].keywords.end(), keyword) !=
                          families()[3].keywords.end();
      if (!number) refuse_schema("\"" + keyword + "\" beside \"enum\" is not supported");
      const auto [least, most] = bounds_of(schema);
      const double x = value.is_number() ? value.as_double() : 0;
      const bool below = least && (x < least->value || (least->exclusive && x == least->value));
      const bool above = most && (x > most->value || (most->exclusive && x == most->value));
      if (value.is_number() && (below || above)) return false;
    }
    return true;
  }

  static std::vector<std::string> types_of(const Json& schema) {
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
    const Json* nullable = schema.find("nullable");
    if (nullable != nullptr && *nullable == Json(true)) types.emplace_back("null");
    return types;
  }

  ExprId of_type(const Json& schema, const std::string& type) {
    if (type == "object") return object(schema);
    if (type == "array") return array(schema);
    if (type == "string") return string(schema);
    if (type == "integer") return integer(schema);
    if (type == "number") return number(schema);
    if (type == "boolean") return grammar_.one_of({"true", "false"});
    if (type == "null") return grammar_.literal("null");
    refuse_schema("there is no type \"" + type.substr(0, 60) + "\"");
  }

  static std::optional<uint32_t> count_of(const Json& schema, const char* keyword) {
    const Json* count = schema.find(keyword);
    if (count == nullptr) return std::nullopt;
    if (!is_whole(*count) || count->as_double() < 0) refuse_schema("\"" + std::string(keyword) + "\" is no count");
    return static_cast<uint32_t>(std::min<double>(kMostCount, count->as_double()));
  }

  static std::pair<std::optional<NumberBound>, std::optional<NumberBound>> bounds_of(const Json& schema) {
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

  ExprId number(const Json& schema) {
    const auto [least, most] = bounds_of(schema);
    return least || most ? number_between(grammar_, least, most) : text_.number();
  }

  ExprId integer(const Json& schema) {
    constexpr int64_t kMost = 999'999'999'999'999'999;
    const auto [least, most] = bounds_of(schema);
    if (!least && !most) return text_.integer();
    // Bounds that are whole numbers are exact, beyond what a double holds as well.
    const auto exact = [&](const char* inclusive, const char* exclusive, int64_t missing, int64_t inwards) {
      int64_t result = missing;
      const auto take = [&](const char* keyword, bool is_exclusive) {
        const Json* value = schema.find(keyword);
        if (value == nullptr) return;
        int64_t bound = 0;
        if (value->is_int()) {
          bound = value->as_int();
        } else if (std::abs(value->as_double()) < 1e18) {
          const double x = value->as_double();
          bound = static_cast<int64_t>(inwards > 0 ? std::ceil(x) : std::floor(x));
          is_exclusive = is_exclusive && static_cast<double>(bound) == x;
        } else {
          return;  // farther than any number that is written
        }
        bound = std::clamp(bound, -kMost - 1, kMost + 1) + (is_exclusive ? inwards : 0);
        result = inwards > 0 ? std::max(result, bound) : std::min(result, bound);
      };
      take(inclusive, false);
      take(exclusive, true);
      return result;
    };
    return integer_between(grammar_, exact("minimum", "exclusiveMinimum", -kMost, 1),
                           exact("maximum", "exclusiveMaximum", kMost, -1));
  }

  ExprId string(const Json& schema) {
    const uint32_t least = count_of(schema, "minLength").value_or(0);
    const uint32_t most = count_of(schema, "maxLength").value_or(kUnbounded);
    if (least > most) return grammar_.nothing();
    const Json* pattern = schema.find("pattern");
    const Json* format = schema.find("format");
    if (pattern != nullptr && format != nullptr) refuse_schema("\"pattern\" beside \"format\" is not supported");
    if (pattern == nullptr && format == nullptr) return text_.string(least, most);
    const char* keyword = pattern != nullptr ? "pattern" : "format";
    const Json& said = pattern != nullptr ? *pattern : *format;
    if (!said.is_string()) refuse_schema("\"" + std::string(keyword) + "\" is no string");
    const Regex regex = pattern != nullptr ? with_pattern(said.as_string()) : with_format(said.as_string());
    if (regex.least < least || (most != kUnbounded && regex.most > most)) {
      refuse_schema("\"" + std::string(keyword) + "\" has strings outside of minLength and maxLength");
    }
    return text_.quoted(regex.expr);
  }

  Regex with_pattern(const std::string& pattern) {
    return add_regex(grammar_, pattern, RegexAnchors::kAnywhere, json_char_of);
  }

  Regex with_format(const std::string& format) {
    const auto pattern = pattern_of_format(format);
    if (!pattern) refuse_schema("the format \"" + format.substr(0, 60) + "\" is not supported");
    return add_regex(grammar_, *pattern, RegexAnchors::kWholeText, json_char_of);
  }

  ExprId array(const Json& schema) {
    const Json* items = schema.find("items");
    const Json* tuple = schema.find("prefixItems");
    if (tuple == nullptr && items != nullptr && items->is_array()) std::swap(tuple, items);  // as in older drafts
    if (tuple != nullptr && !tuple->is_array()) refuse_schema("\"prefixItems\" is no array");
    std::vector<ExprId> first;
    for (const Json& item : tuple == nullptr ? Json::Array{} : tuple->as_array()) first.push_back(value(item));
    const auto fixed = static_cast<uint32_t>(first.size());
    const uint32_t least = count_of(schema, "minItems").value_or(fixed);
    const uint32_t most = count_of(schema, "maxItems").value_or(kUnbounded);
    if (least > most) return grammar_.nothing();
    const bool closed = items == nullptr && fixed > 0;
    const ExprId other = closed ? grammar_.nothing() : (items == nullptr ? text_.value() : value(*items));
    const ExprId content = elements(first, other, least, most);
    return grammar_.sequence({grammar_.literal("["), text_.gap(), content, grammar_.literal("]")});
  }

  // `least` to `most` elements and the gap behind the last; the first ones have schemas of their own.
  ExprId elements(const std::vector<ExprId>& first, ExprId other, uint32_t least, uint32_t most) {
    const auto fixed = static_cast<uint32_t>(first.size());
    const auto minus = [](uint32_t count, uint32_t less) {
      return count == kUnbounded ? count : count - std::min(count, less);
    };
    // Behind at least one element: each part begins with its comma.
    const uint32_t done = std::max(fixed, 1U);
    ExprId rest = most <= done ? grammar_.empty()
                               : grammar_.repeat(grammar_.sequence({text_.comma(), other}), minus(least, done),
                                                 minus(most, done));
    for (uint32_t i = fixed; i-- > 1;) {
      rest = most <= i ? grammar_.empty() : grammar_.sequence({text_.comma(), first[i], rest});
      if (least <= i) rest = grammar_.optional(rest);
    }
    const ExprId head = fixed > 0 ? first.front() : other;
    const ExprId all = most == 0 ? grammar_.empty() : grammar_.sequence({head, rest, text_.gap()});
    return least == 0 ? grammar_.optional(all) : all;
  }

  ExprId object(const Json& schema) {
    std::vector<std::pair<std::string, Json>> properties;
    const Json* named = schema.find("properties");
    if (named != nullptr && !named->is_object()) refuse_schema("\"properties\" is no object");
    if (named != nullptr) properties = named->as_object();
    std::set<std::string> required;
    const Json* others = schema.find("additionalProperties");
    std::set<std::string> names;
    for (const auto& [name, property] : properties) names.insert(name);
    if (const Json* list = schema.find("required"); list != nullptr) {
      if (!list->is_array()) refuse_schema("\"required\" is no array");
      for (const Json& name : list->as_array()) {
        if (!name.is_string()) refuse_schema("\"required\" is no array of strings");
        required.insert(name.as_string());
        if (names.insert(name.as_string()).second) {
          properties.emplace_back(name.as_string(), others == nullptr ? Json(true) : *others);
        }
      }
    }
    const bool open = others == nullptr ? named == nullptr : *others != Json(false);
    if (properties.empty() && open && (others == nullptr || *others == Json(true))) return text_.object();
    std::optional<ExprId> other;
    if (open) {
      const ExprId key = text_.string_other_than({names.begin(), names.end()});
      other = grammar_.sequence({key, text_.colon(), others == nullptr ? text_.value() : value(*others)});
    }
    const ExprId members = members_of(properties, required, other);
    return grammar_.sequence({grammar_.literal("{"), text_.gap(), members, grammar_.literal("}")});
  }

  // The members in their order and the gap behind the last. Two rules for each property say what may come from it on:
  // one for the beginning of the object, one behind another member, where a comma is due.
  ExprId members_of(const std::vector<std::pair<std::string, Json>>& properties, const std::set<std::string>& required,
                    std::optional<ExprId> other) {
    ExprId first = grammar_.empty();
    ExprId later = text_.gap();
    if (other) {
      const ExprId more =
          grammar_.sequence({grammar_.repeat(grammar_.sequence({text_.comma(), *other}), 0, kUnbounded), text_.gap()});
      first = grammar_.optional(grammar_.sequence({*other, more}));
      later = more;
    }
    for (std::size_t i = properties.size(); i-- > 0;) {
      const auto& [name, schema] = properties[i];
      const ExprId pair = grammar_.sequence({text_.string_of(name), text_.colon(), value(schema)});
      const ExprId behind = as_rule(name, later);
      const bool may_miss = !required.contains(name);
      first = grammar_.choice({grammar_.sequence({pair, behind}), may_miss ? first : grammar_.nothing()});
      later =
          grammar_.choice({grammar_.sequence({text_.comma(), pair, behind}), may_miss ? behind : grammar_.nothing()});
    }
    return first;
  }

  ExprId as_rule(const std::string& name, ExprId body) {
    const RuleId rule = grammar_.add_rule("behind " + name, true);
    grammar_.define(rule, body);
    return grammar_.call(rule);
  }

  const Json& root_;
  Grammar& grammar_;
  SchemaMerge merge_;
  JsonText text_;
  std::map<std::string, RuleId> rules_;
  std::vector<std::pair<RuleId, Json>> pending_;
};

}  // namespace

ExprId add_json_schema(Grammar& grammar, const Json& schema) {
  return SchemaReader(grammar, schema).read();
}

}  // namespace longship
