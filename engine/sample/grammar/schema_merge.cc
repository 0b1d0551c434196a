#include "engine/sample/grammar/schema_merge.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <string>

#include "engine/sample/grammar/code_points.h"
#include "engine/sample/grammar/grammar.h"
#include "engine/sample/grammar/schema_negation.h"
#include "engine/sample/grammar/schema_strings.h"
#include "engine/sample/grammar/schema_words.h"

namespace longship {

namespace {

constexpr int64_t kMostSpent = 200'000;  // members and items of all that is merged
constexpr int kMostDepth = 64;

bool is_true(const Json& schema) {
  return schema.is_bool() && schema.as_bool();
}

Json all_of(const Json& a, const Json& b) {
  if (is_true(a) || a == b) return b;
  if (is_true(b)) return a;
  Json result;
  result.set("allOf", Json::Array{a, b});
  return result;
}

Json::Array as_list(const Json& value) {
  return value.is_array() ? value.as_array() : Json::Array{value};
}

std::set<std::string> canonical_values(const Json& list) {
  std::set<std::string> values;
  for (const Json& value : as_list(list)) values.insert(canonical(value));
  return values;
}

// Types that both lists have; an integer is a number.
Json common_types(const Json& a, const Json& b) {
  const std::set<std::string> mine = canonical_values(a);
  const std::set<std::string> others = canonical_values(b);
  const auto has = [](const std::set<std::string>& types, const Json& type) { return types.contains(canonical(type)); };
  Json::Array types;
  for (const char* name : {"object", "array", "string", "number", "integer", "boolean", "null"}) {
    const Json type(name);
    const Json wider(name == std::string_view("integer") ? "number" : name);
    const bool both = has(mine, type) && has(others, type);
    if (both || (has(mine, type) && has(others, wider)) || (has(mine, wider) && has(others, type)))
      types.push_back(type);
  }
  return types;
}

Json common_values(const Json& a, const Json& b) {
  const std::set<std::string> others = canonical_values(b);
  Json::Array values;
  for (const Json& value : as_list(a)) {
    if (others.contains(canonical(value))) values.push_back(value);
  }
  return values;
}

Json united(const Json& a, const Json& b) {
  std::set<std::string> known;
  Json::Array all;
  for (const Json* list : {&a, &b}) {
    for (const Json& value : as_list(*list)) {
      if (known.insert(canonical(value)).second) all.push_back(value);
    }
  }
  return all;
}

Json tighter(const Json& a, const Json& b, bool larger) {
  if (!a.is_number() || !b.is_number()) {
    refuse_schema("a bound is no number");
  }
  return (a.as_double() > b.as_double()) == larger ? a : b;
}

// The properties of `a` must also be what `b` says of those that it does not name.
void restrict_others(Json& properties, const Json& b) {
  const Json* others = b.find("additionalProperties");
  if (others == nullptr || !properties.is_object()) return;
  const Json* named = b.find("properties");
  std::set<std::string_view> names;
  if (named != nullptr && named->is_object()) {
    for (const auto& [name, schema] : named->as_object()) names.insert(name);
  }
  for (auto& [name, schema] : properties.as_object()) {
    if (!names.contains(name)) schema = all_of(schema, *others);
  }
}

// Schemas of one name must both hold.
Json joined_members(Json result, const Json& more) {
  if (!result.is_object() || !more.is_object()) refuse_schema("\"properties\" or \"patternProperties\" is no object");
  Json::Object& members = result.as_object();
  std::map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < members.size(); ++i) places.emplace(members[i].first, i);
  for (const auto& [name, schema] : more.as_object()) {
    const auto [place, is_new] = places.emplace(name, members.size());
    if (is_new) {
      members.emplace_back(name, schema);
    } else {
      members[place->second].second = all_of(members[place->second].second, schema);
    }
  }
  return result;
}

Json joined_properties(const Json& a, const Json& b) {
  Json result = a.find("properties") == nullptr ? Json(Json::Object{}) : *a.find("properties");
  Json more = b.find("properties") == nullptr ? Json(Json::Object{}) : *b.find("properties");
  restrict_others(result, b);
  restrict_others(more, a);
  return joined_members(std::move(result), more);
}

Json common_multiple(const Json& a, const Json& b) {
  const std::optional<Multiple> first = multiple_in(Json::Object{{"multipleOf", a}});
  const std::optional<Multiple> second = multiple_in(Json::Object{{"multipleOf", b}});
  if (is_multiple(a.as_double(), *second)) return a;
  if (is_multiple(b.as_double(), *first)) return b;
  constexpr double kMostUnits = 1e9;
  constexpr uint64_t kMostExact = uint64_t{1} << 53U;
  const double scale = std::pow(10.0, std::max(first->decimals, second->decimals));
  const double my_units = std::round(a.as_double() * scale);
  const double other_units = std::round(b.as_double() * scale);
  const uint64_t units = my_units > kMostUnits || other_units > kMostUnits
                             ? kMostExact
                             : std::lcm(static_cast<uint64_t>(my_units), static_cast<uint64_t>(other_units));
  if (units >= kMostExact) refuse_schema("two \"multipleOf\" for one value have no common multiple of a few digits");
  return static_cast<double>(units) / scale;
}

// Patterns for the names of one schema tell which members are additional: there the other may name none, by patterns
// as well.
void check_patterns(const Json& a, const Json& b) {
  const auto has = [](const Json& schema, const char* keyword) { return schema.find(keyword) != nullptr; };
  const bool restricts = has(a, "additionalProperties") && *a.find("additionalProperties") != Json(true);
  const bool named = has(b, "properties") || has(b, "patternProperties") || has(b, "additionalProperties");
  if (restricts && (has(b, "patternProperties") || (has(a, "patternProperties") && named))) {
    refuse_schema(
        "\"patternProperties\" with \"additionalProperties\" beside another schema of the same object is not "
        "supported");
  }
}

// One of each list, together.
Json combinations(const std::string& keyword, const Json& a, const Json& b) {
  if (!a.is_array() || !b.is_array()) refuse_schema("\"" + keyword + "\" is no array of schemas");
  constexpr std::size_t kMostCombinations = 1000;
  if (a.as_array().size() * b.as_array().size() > kMostCombinations) {
    refuse_schema("two \"" + keyword + "\" for one value have more than " + std::to_string(kMostCombinations) +
                  " combinations");
  }
  Json::Array all;
  for (const Json& one : a.as_array()) {
    for (const Json& other : b.as_array()) all.push_back(all_of(one, other));
  }
  return all;
}

// Elements by their places, of which one schema says by "items" what the other says one by one.
void join_tuples(Json& result, const Json& a, const Json& b) {
  const auto tuple_of = [](const Json& schema) {
    const Json* tuple = schema.find("prefixItems");
    if (tuple != nullptr && !tuple->is_array()) refuse_schema("\"prefixItems\" is no array");
    return tuple == nullptr ? Json::Array{} : tuple->as_array();
  };
  const Json::Array first = tuple_of(a);
  const Json::Array second = tuple_of(b);
  const auto at = [](const Json& schema, const Json::Array& tuple, std::size_t i) {
    const Json* others = schema.find("items");
    return i < tuple.size() ? tuple[i] : (others == nullptr ? Json(true) : *others);
  };
  Json::Array all;
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    all.push_back(all_of(at(a, first, i), at(b, second, i)));
  }
  result.set("prefixItems", std::move(all));
}

// Of all that is said of the string but the first pattern.
void join_patterns(Json& result, const Json& a, const Json& b) {
  Json more = Json::Array{};
  for (const auto& [schema, keyword] : {std::pair{&a, kMorePatterns}, {&b, kMorePatterns}, {&b, "pattern"}}) {
    const Json* said = schema->find(keyword);
    if (said != nullptr && *said != *result.find("pattern")) more = united(more, *said);
  }
  if (!more.as_array().empty()) result.set(kMorePatterns, std::move(more));
}

Json joined(const std::string& keyword, const Json& a, const Json& b) {
  if (keyword == kNotPatterns || keyword == kOtherThan || keyword == kAbsent) return united(a, b);
  if (a == b || !is_keyword(keyword)) return a;
  if (keyword == "type") return common_types(a, b);
  if (keyword == "enum") return common_values(a, b);
  if (keyword == "required") return united(a, b);
  if (keyword == "items" || keyword == "additionalProperties" || keyword == "propertyNames") return all_of(a, b);
  if (keyword == "patternProperties") return joined_members(a, b);
  if (keyword == "anyOf" || keyword == "oneOf") return combinations(keyword, a, b);
  if (keyword == "uniqueItems") return a == Json(true) ? a : b;
  if (keyword == "multipleOf") return common_multiple(a, b);
  for (const char* least : {"minimum", "minLength", "minItems", "minProperties", "exclusiveMinimum"}) {
    if (keyword == least) return tighter(a, b, true);
  }
  for (const char* most : {"maximum", "maxLength", "maxItems", "maxProperties", "exclusiveMaximum"}) {
    if (keyword == most) return tighter(a, b, false);
  }
  refuse_schema("\"" + keyword + "\" comes in two schemas for one value, which is not supported");
}

int64_t size_of(const Json& json) {
  int64_t size = 1;
  if (json.is_array()) {
    for (const Json& item : json.as_array()) size += size_of(item);
  } else if (json.is_object()) {
    for (const auto& [key, value] : json.as_object()) size += size_of(value);
  }
  return size;
}

Json without(Json schema, std::string_view keyword) {
  std::erase_if(schema.as_object(), [&](const Json::Member& member) { return member.first == keyword; });
  return schema;
}

// As drafts up to 4 have it: whether the other bound is one of the values.
void replace_exclusive(Json& schema, const char* exclusive, const char* inclusive) {
  const Json* said = schema.find(exclusive);
  if (said == nullptr || !said->is_bool()) return;
  const Json* bound = schema.find(inclusive);
  const Json moved = said->as_bool() && bound != nullptr ? *bound : Json();
  schema = without(std::move(schema), exclusive);
  if (moved.is_null()) return;
  schema = without(std::move(schema), inclusive);
  schema.set(exclusive, moved);
}

// As drafts up to 2019-09 have it: schemas by place in "items", and the others in "additionalItems".
void replace_tuple(Json& schema) {
  const Json* items = schema.find("items");
  const bool tuple = items != nullptr && items->is_array();
  const Json* more = schema.find("additionalItems");
  const std::optional<Json> others = tuple && more != nullptr ? std::optional(*more) : std::nullopt;
  if (more != nullptr) schema = without(std::move(schema), "additionalItems");
  if (!tuple) return;
  Json first = *schema.find("items");
  schema = without(std::move(schema), "items");
  schema.set("prefixItems", std::move(first));
  if (others) schema.set("items", *others);
}

void add_to_all_of(Json& schema, Json::Array more) {
  if (const Json* parts = schema.find("allOf"); parts != nullptr && parts->is_array()) {
    more.insert(more.begin(), parts->as_array().begin(), parts->as_array().end());
  }
  schema.set("allOf", std::move(more));
}

Json has_not(const std::string& name) {
  return Json::Object{{kAbsent, Json::Array{name}}};
}

// A member that asks for others or for more is not there, or what it asks for holds.
void replace_dependents(Json& schema) {
  Json::Array all;
  for (const char* keyword : {"dependentRequired", "dependentSchemas", "dependencies"}) {
    const Json* said = schema.find(keyword);
    if (said == nullptr) continue;
    if (!said->is_object()) refuse_schema("\"" + std::string(keyword) + "\" is no object");
    for (const auto& [name, asked] : said->as_object()) {
      Json with = Json::Object{{"required", Json::Array{name}}};
      with = Json::Object{{"allOf", Json::Array{with, asked.is_array() ? Json::Object{{"required", asked}} : asked}}};
      all.emplace_back(Json::Object{{"anyOf", Json::Array{has_not(name), with}}});
    }
    schema = without(std::move(schema), keyword);
  }
  if (!all.empty()) add_to_all_of(schema, std::move(all));
}

// Either the condition holds and what is said of that, or neither.
void replace_condition(Json& schema) {
  const Json* condition = schema.find("if");
  const bool is_there = condition != nullptr;
  const Json if_so = is_there ? *condition : Json();
  const auto taken = [&](const char* keyword) {
    const Json* said = schema.find(keyword);
    Json result = said == nullptr ? Json(true) : *said;
    schema = without(std::move(schema), keyword);
    return result;
  };
  const Json then = taken("then");
  const Json otherwise = taken("else");
  if (!is_there) return;
  schema = without(std::move(schema), "if");
  if (is_true(then) && is_true(otherwise)) return;
  const Json first = Json::Object{{"allOf", Json::Array{if_so, then}}};
  const Json second = Json::Object{{"allOf", Json::Array{Json::Object{{"not", if_so}}, otherwise}}};
  add_to_all_of(schema, {Json::Object{{"anyOf", Json::Array{first, second}}}});
}

// Without words that others stand for: a constant is a choice of one, what OpenAPI calls nullable has one type more,
// and so on.
Json in_few_words(Json schema) {
  replace_exclusive(schema, "exclusiveMinimum", "minimum");
  replace_exclusive(schema, "exclusiveMaximum", "maximum");
  replace_tuple(schema);
  replace_dependents(schema);
  replace_condition(schema);
  if (const Json* nullable = schema.find("nullable"); nullable != nullptr) {
    const bool also_null = *nullable == Json(true) && schema.find("type") != nullptr;
    std::erase_if(schema.as_object(), [](const Json::Member& member) { return member.first == "nullable"; });
    if (also_null) schema.set("type", united(*schema.find("type"), Json("null")));
  }
  if (const Json* constant = schema.find("const"); constant != nullptr) {
    const Json only = Json::Array{*constant};
    std::erase_if(schema.as_object(), [](const Json::Member& member) { return member.first == "const"; });
    schema.set("enum", schema.find("enum") == nullptr ? only : common_values(*schema.find("enum"), only));
  }
  return schema;
}

// As a reference is a URI. A % that is none of an escape stands for itself.
std::string percent_decoded(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    std::string_view rest = text.substr(1);
    const auto byte = text.front() == '%' ? take_hex(rest, 2) : std::nullopt;
    result += byte ? static_cast<char>(*byte) : text.front();
    text = rest;
  }
  return result;
}

}  // namespace

void refuse_schema(const std::string& rule) {
  refuse_grammar("JSON schema: " + rule);
}

bool is_annotation(std::string_view keyword) {
  static const std::set<std::string_view> kAnnotations = {"title",
                                                          "description",
                                                          "default",
                                                          "examples",
                                                          "example",
                                                          "deprecated",
                                                          "readOnly",
                                                          "writeOnly",
                                                          "$comment",
                                                          "$schema",
                                                          "$id",
                                                          "$anchor",
                                                          "id",
                                                          "$defs",
                                                          "definitions",
                                                          "$vocabulary",
                                                          "contentEncoding",
                                                          "contentMediaType",
                                                          "contentSchema",
                                                          "discriminator",
                                                          "externalDocs",
                                                          "xml"};
  return kAnnotations.contains(keyword);
}

const Json* plain_reference(const Json& schema) {
  const Json* reference = schema.find("$ref");
  if (reference == nullptr || !reference->is_string()) return nullptr;
  const auto& members = schema.as_object();
  const bool plain = std::all_of(members.begin(), members.end(), [](const Json::Member& member) {
    return member.first == "$ref" || is_annotation(member.first);
  });
  return plain ? reference : nullptr;
}

void SchemaMerge::spend(const Json& schema) {
  spent_ += size_of(schema);
  if (spent_ > kMostSpent) {
    refuse_schema("allOf and $ref make it larger than " + std::to_string(kMostSpent) + " parts");
  }
}

const Json& SchemaMerge::target(std::string_view reference) const {
  const auto fail = [&] { refuse_schema("\"$ref\" leads nowhere: " + std::string(reference.substr(0, 100))); };
  if (!reference.starts_with('#')) {
    refuse_schema("\"$ref\" leads out of the schema: " + std::string(reference.substr(0, 100)));
  }
  const Json* here = &root_;
  const std::string pointer = percent_decoded(reference.substr(1));
  std::string_view rest = pointer;
  while (!rest.empty()) {
    if (rest.front() != '/') fail();
    rest.remove_prefix(1);
    std::string key(rest.substr(0, rest.find('/')));
    rest.remove_prefix(key.size());
    for (const auto& [escape, character] : {std::pair{"~1", "/"}, std::pair{"~0", "~"}}) {
      for (std::size_t at = 0; (at = key.find(escape, at)) != std::string::npos; ++at) key.replace(at, 2, character);
    }
    if (here->is_array()) {
      std::size_t index = here->as_array().size();
      std::from_chars(key.data(), key.data() + key.size(), index);
      if (index >= here->as_array().size()) fail();
      here = &here->as_array()[index];
    } else {
      here = here->find(key);
    }
    if (here == nullptr) fail();
  }
  return *here;
}

Json SchemaMerge::flat(const Json& schema) {
  if (schema.is_bool()) return schema;
  if (!schema.is_object()) refuse_schema("a schema is " + std::string(schema.type_name()) + ", not an object");
  spend(schema);
  if (++depth_ > kMostDepth) refuse_schema("\"$ref\" or \"allOf\" leads to itself, or is nested too deep");
  Json result = in_few_words(schema);
  const std::array<const char*, 2> rest_words = {"unevaluatedProperties", "unevaluatedItems"};
  Json::Object rests;
  for (const char* word : rest_words) {
    if (const Json* rest = result.find(word); rest != nullptr) rests.emplace_back(word, *rest);
    result = without(std::move(result), word);
  }
  if (const Json* reference = result.find("$ref"); reference != nullptr) {
    if (!reference->is_string()) refuse_schema("\"$ref\" is no string");
    result = both(target(reference->as_string()), without(result, "$ref"));
  } else if (result.find("allOf") != nullptr) {
    const Json parts = *result.find("allOf");
    if (!parts.is_array()) refuse_schema("\"allOf\" is no array");
    result = without(std::move(result), "allOf");
    for (const Json& part : parts.as_array()) {
      result = both(result, part);
    }
  }
  if (!result.is_bool() && result.find("not") != nullptr) {
    const Json other = negated(flat(*result.find("not")));
    result = both(without(std::move(result), "not"), other);
  }
  for (const auto& [word, rest] : rests) add_rest(result, word, rest);
  --depth_;
  return result;
}

// What is said of the members or elements that no other word of the schema, or of those that it refers to, is about.
void SchemaMerge::add_rest(Json& result, const std::string& word, const Json& rest) {
  if (result.is_bool() || is_true(rest)) return;
  if (result.find("oneOf") != nullptr) {
    refuse_schema("\"" + word + "\" beside \"oneOf\" is not supported");
  }
  if (const Json* alternatives = result.find("anyOf"); alternatives != nullptr && alternatives->is_array()) {
    const Json other = without(result, "anyOf");
    Json::Array all;
    for (const Json& one : alternatives->as_array()) {
      all.emplace_back(Json::Object{{"allOf", Json::Array{other, one}}, {word, rest}});
    }
    result = Json::Object{{"anyOf", std::move(all)}};
    return;
  }
  const char* known = word == "unevaluatedItems" ? "items" : "additionalProperties";
  if (result.find(known) == nullptr) result.set(known, rest);
}

Json SchemaMerge::both(const Json& first, const Json& second) {
  const Json a = flat(first);
  const Json b = flat(second);
  if (a.is_bool()) return a.as_bool() ? b : a;
  if (b.is_bool()) return b.as_bool() ? a : b;
  Json result = a;
  const bool has_properties = a.find("properties") != nullptr || b.find("properties") != nullptr;
  for (const auto& [keyword, value] : b.as_object()) {
    const Json* known = a.find(keyword);
    if (keyword == "properties" ||
        (known != nullptr && (keyword == "pattern" || keyword == kMorePatterns || keyword == "prefixItems")))
      continue;
    result.set(keyword, known == nullptr ? value : joined(keyword, *known, value));
  }
  if (result.find("pattern") != nullptr) join_patterns(result, a, b);
  if (result.find("prefixItems") != nullptr) join_tuples(result, a, b);
  if (a != b) {
    check_patterns(a, b);
    check_patterns(b, a);
  }
  if (has_properties) {
    result.set("properties", joined_properties(a, b));
  }
  spend(result);
  return result;
}

}  // namespace longship
