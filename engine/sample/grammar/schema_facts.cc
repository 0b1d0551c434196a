#include "engine/sample/grammar/schema_facts.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>

#include "engine/sample/grammar/schema_strings.h"
#include "engine/sample/grammar/schema_words.h"

namespace longship {

namespace {

constexpr int kMostDepth = 64;

uint32_t characters_of(const std::string& text) {
  return static_cast<uint32_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; }));
}

bool is_within(const Json& schema, double x) {
  const auto [least, most] = bounds_of(schema);
  const bool below = least && (x < least->value || (least->exclusive && x == least->value));
  const bool above = most && (x > most->value || (most->exclusive && x == most->value));
  return !below && !above;
}

bool is_multiple_of(const Json& schema, const Json& value) {
  const std::optional<Multiple> multiple = multiple_in(schema);
  if (!multiple) return true;
  return value.is_int() ? is_multiple(value.as_int(), *multiple) : is_multiple(value.as_double(), *multiple);
}

bool has_equal_items(const Json& array) {
  std::set<std::string> known;
  const auto& all = array.as_array();
  return !std::all_of(all.begin(), all.end(), [&](const Json& one) { return known.insert(canonical(one)).second; });
}

bool has_name(const Json& schema, const std::string& name) {
  const Json* required = schema.find("required");
  const Json::Array names = required != nullptr && required->is_array() ? required->as_array() : Json::Array{};
  return std::find(names.begin(), names.end(), Json(name)) != names.end();
}

// The schema of a property: of its own, or that of others; null if nothing is said.
const Json* property_of(const Json& schema, const std::string& name) {
  const Json* properties = schema.find("properties");
  const Json* own = properties == nullptr ? nullptr : properties->find(name);
  return own != nullptr || schema.find("patternProperties") != nullptr ? own : schema.find("additionalProperties");
}

// Whether an object that is written for the schema may have the property.
bool may_write(const Json& schema, const std::string& name) {
  const Json* property = property_of(schema, name);
  if (is_absent(schema, name)) return false;
  const bool open =
      property == nullptr && (schema.find("properties") == nullptr || schema.find("patternProperties") != nullptr);
  return open || has_name(schema, name) || (property != nullptr && *property != Json(false));
}

bool is_out_of_order(std::optional<uint32_t> least, std::optional<uint32_t> most) {
  return least && most && *least > *most;
}

const Json* alternatives_of(const Json& schema) {
  const Json* any = schema.find("anyOf");
  const Json* all = any != nullptr ? any : schema.find("oneOf");
  return all != nullptr && all->is_array() ? all : nullptr;
}

Json without_alternatives(Json schema) {
  const char* keyword = schema.find("anyOf") != nullptr ? "anyOf" : "oneOf";
  std::erase_if(schema.as_object(), [&](const Json::Member& member) { return member.first == keyword; });
  return schema;
}

}  // namespace

bool SchemaFacts::holds(const Json& schema, const Json& value) {
  if (++depth_ > kMostDepth) refuse_schema("\"$ref\", \"anyOf\" or \"oneOf\" leads to itself, or is nested too deep");
  const Json flat = merge_.flat(schema);
  const bool result = flat.is_bool() ? flat.as_bool() : holds_all(flat, value);
  --depth_;
  return result;
}

bool SchemaFacts::holds_all(const Json& schema, const Json& value) {
  check_keywords(schema);
  for (const char* keyword : {"anyOf", "oneOf"}) {
    const Json* list = schema.find(keyword);
    if (list == nullptr) continue;
    if (!list->is_array()) refuse_schema("\"" + std::string(keyword) + "\" is no array of schemas");
    const auto fits = [&](const Json& alternative) { return holds(alternative, value); };
    const auto count = std::count_if(list->as_array().begin(), list->as_array().end(), fits);
    if (keyword == std::string_view("oneOf") ? count != 1 : count == 0) return false;
  }
  if (const Json* values = schema.find("enum"); values != nullptr && values->is_array()) {
    const auto& all = values->as_array();
    if (std::none_of(all.begin(), all.end(), [&](const Json& one) { return same_value(one, value); })) return false;
  }
  if (schema.find("type") != nullptr) {
    const std::vector<std::string> types = types_of(schema);
    const auto fits = [&](const std::string& type) { return is_of_type(value, type); };
    if (std::none_of(types.begin(), types.end(), fits)) return false;
  }
  if (value.is_number()) return is_within(schema, value.as_double()) && is_multiple_of(schema, value);
  if (value.is_string()) return holds_string(schema, value.as_string());
  if (value.is_array()) return holds_array(schema, value);
  return !value.is_object() || holds_object(schema, value);
}

bool SchemaFacts::is_match(const std::string& pattern, RegexAnchors anchors, const std::string& text) {
  std::shared_ptr<const Automaton>& automaton = patterns_[{anchors, pattern}];
  if (automaton == nullptr) {
    Grammar grammar;
    const RuleId root = grammar.add_rule("root");
    grammar.define(root, add_regex(grammar, pattern, anchors).expr);
    automaton = std::make_shared<const Automaton>(grammar);
  }
  return automaton->advance(automaton->start(), text).may_end;
}

bool SchemaFacts::holds_string(const Json& schema, const std::string& text) {
  const uint32_t length = characters_of(text);
  const TextRules rules = string_rules(schema);
  return rules.least <= length && length <= rules.most &&
         std::find(rules.other_than.begin(), rules.other_than.end(), text) == rules.other_than.end() &&
         std::all_of(rules.rules.begin(), rules.rules.end(),
                     [&](const TextRule& rule) { return is_match(rule.pattern, rule.anchors, text) == rule.holds; });
}

bool SchemaFacts::holds_array(const Json& schema, const Json& array) {
  const auto size = static_cast<uint32_t>(array.as_array().size());
  if (is_out_of_order(count_of(schema, "minItems"), size) || is_out_of_order(size, count_of(schema, "maxItems"))) {
    return false;
  }
  if (schema.find("uniqueItems") != nullptr && *schema.find("uniqueItems") == Json(true) && has_equal_items(array)) {
    return false;
  }
  const Json* items = schema.find("items");
  const Json* tuple = schema.find("prefixItems");
  for (std::size_t i = 0; i < size; ++i) {
    const bool own = tuple != nullptr && tuple->is_array() && i < tuple->as_array().size();
    const Json* said = own ? &tuple->as_array()[i] : items;
    if (said != nullptr && !holds(*said, array.as_array()[i])) return false;
  }
  return true;
}

bool SchemaFacts::holds_object(const Json& schema, const Json& object) {
  const auto size = static_cast<uint32_t>(object.as_object().size());
  if (is_out_of_order(count_of(schema, "minProperties"), size) ||
      is_out_of_order(size, count_of(schema, "maxProperties"))) {
    return false;
  }
  if (const Json* required = schema.find("required"); required != nullptr && required->is_array()) {
    for (const Json& name : required->as_array()) {
      if (name.is_string() && object.find(name.as_string()) == nullptr) return false;
    }
  }
  const Json* names = schema.find("propertyNames");
  const Json* properties = schema.find("properties");
  const Json* patterns = schema.find("patternProperties");
  const Json::Object by_pattern = patterns != nullptr && patterns->is_object() ? patterns->as_object() : Json::Object{};
  for (const auto& [name, value] : object.as_object()) {
    if (is_absent(schema, name)) return false;
    if (names != nullptr && !holds(*names, Json(name))) return false;
    const Json* own = properties == nullptr ? nullptr : properties->find(name);
    bool is_named = own != nullptr;
    if (own != nullptr && !holds(*own, value)) return false;
    for (const auto& [pattern, said] : by_pattern) {
      if (!is_match(pattern, RegexAnchors::kAnywhere, name)) continue;
      is_named = true;
      if (!holds(said, value)) return false;
    }
    const Json* others = schema.find("additionalProperties");
    if (!is_named && others != nullptr && !holds(*others, value)) return false;
  }
  return true;
}

std::optional<std::vector<Json>> SchemaFacts::few_values(const Json& schema) {
  std::vector<Json> values;
  if (!add_values(schema, values)) return std::nullopt;
  std::set<std::string> known;
  std::erase_if(values,
                [&](const Json& value) { return !holds(schema, value) || !known.insert(canonical(value)).second; });
  return values;
}

// Adds values that are all of the schema's, and maybe some that are none. False: there may be many.
bool SchemaFacts::add_values(const Json& schema, std::vector<Json>& values) {
  constexpr int64_t kMostIntegers = 1000;
  const Json flat = merge_.flat(schema);
  if (flat.is_bool()) return !flat.as_bool();
  if (const Json* list = flat.find("enum"); list != nullptr && list->is_array()) {
    values.insert(values.end(), list->as_array().begin(), list->as_array().end());
    return true;
  }
  if (const Json* alternatives = alternatives_of(flat); alternatives != nullptr) {
    if (++depth_ > kMostDepth) return false;
    const Json rest = without_alternatives(flat);
    const auto& all = alternatives->as_array();
    const bool few = std::all_of(all.begin(), all.end(),
                                 [&](const Json& one) { return add_values(merge_.both(rest, one), values); });
    --depth_;
    return few;
  }
  for (const std::string& type : types_of(flat)) {
    const auto [least, most] = type == "integer" ? integers_of(flat) : std::pair<int64_t, int64_t>{0, kMostIntegers};
    if (type == "boolean") {
      values.insert(values.end(), {Json(true), Json(false)});
    } else if (type == "null") {
      values.emplace_back(nullptr);
    } else if (type != "integer" || most - least >= kMostIntegers) {
      return false;
    }
    for (int64_t i = least; type == "integer" && i <= most; ++i) values.emplace_back(i);
  }
  return true;
}

bool SchemaFacts::apart(const Json& first, const Json& second) {
  const Json a = merge_.flat(first);
  const Json b = merge_.flat(second);
  if (a.is_bool() || b.is_bool()) return a == Json(false) || b == Json(false);
  if (depth_ >= kMostDepth) return false;
  ++depth_;
  const auto all_apart = [&](const Json& schema, const auto& is_apart) {
    const auto& list = alternatives_of(schema)->as_array();
    const Json rest = without_alternatives(schema);
    return std::all_of(list.begin(), list.end(), [&](const Json& one) { return is_apart(merge_.both(rest, one)); });
  };
  bool result = false;
  if (const Json* values = a.find("enum"); values != nullptr && values->is_array()) {
    const auto& all = values->as_array();
    result = std::none_of(all.begin(), all.end(), [&](const Json& value) { return holds(b, value); });
  } else if (alternatives_of(a) != nullptr) {
    result = all_apart(a, [&](const Json& one) { return apart(one, b); });
  } else if (const Json* others = b.find("enum"); others != nullptr && others->is_array()) {
    const auto& all = others->as_array();
    result = std::none_of(all.begin(), all.end(), [&](const Json& value) { return holds(a, value); });
  } else if (alternatives_of(b) != nullptr) {
    result = all_apart(b, [&](const Json& one) { return apart(a, one); });
  } else {
    const std::vector<std::string> types = types_of(a);
    result = std::all_of(types.begin(), types.end(), [&](const std::string& type) { return types_apart(a, b, type); });
  }
  --depth_;
  return result;
}

// The values of `a` that are of this type.
bool SchemaFacts::types_apart(const Json& a, const Json& b, const std::string& type) {
  const bool number = type == "number" || type == "integer";
  if (b.find("type") != nullptr) {  // else `b` has values of every type
    const std::vector<std::string> types = types_of(b);
    const auto same = [&](const std::string& other) {
      return other == type || (number && (other == "number" || other == "integer"));
    };
    if (std::none_of(types.begin(), types.end(), same)) return true;
  }
  if (number) {
    const auto [least_a, most_a] = bounds_of(a);
    const auto [least_b, most_b] = bounds_of(b);
    const auto above = [](const std::optional<NumberBound>& least, const std::optional<NumberBound>& most) {
      return least && most &&
             (least->value > most->value || (least->value == most->value && (least->exclusive || most->exclusive)));
    };
    return above(least_a, most_b) || above(least_b, most_a);
  }
  if (type == "string") {
    return is_out_of_order(count_of(a, "minLength"), count_of(b, "maxLength")) ||
           is_out_of_order(count_of(b, "minLength"), count_of(a, "maxLength"));
  }
  if (type == "array") {
    return is_out_of_order(count_of(a, "minItems"), count_of(b, "maxItems")) ||
           is_out_of_order(count_of(b, "minItems"), count_of(a, "maxItems"));
  }
  return type == "object" && objects_apart(a, b);
}

// By a property that one must have and the other has not, or has otherwise.
bool SchemaFacts::objects_apart(const Json& a, const Json& b) {
  const auto required = [](const Json& schema) {
    const Json* names = schema.find("required");
    return names != nullptr && names->is_array() ? names->as_array() : Json::Array{};
  };
  const auto other_of = [&](const std::string& name) {
    if (is_absent(b, name)) return Json(false);
    const Json* other = property_of(b, name);
    return other == nullptr ? Json(true) : *other;
  };
  for (const Json& name : required(b)) {
    if (!name.is_string()) continue;
    if (!may_write(a, name.as_string())) return true;
    const Json* mine = property_of(a, name.as_string());
    if (mine != nullptr && apart(*mine, other_of(name.as_string()))) return true;
  }
  for (const Json& name : required(a)) {
    if (!name.is_string()) continue;
    const Json* mine = property_of(a, name.as_string());
    if (apart(mine == nullptr ? Json(true) : *mine, other_of(name.as_string()))) return true;
  }
  return false;
}

}  // namespace longship
