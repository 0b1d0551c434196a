#include "engine/sample/grammar/schema_merge.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <string>

#include "engine/sample/grammar/code_points.h"
#include "engine/sample/grammar/grammar.h"
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

Json joined_properties(const Json& a, const Json& b) {
  Json result = a.find("properties") == nullptr ? Json(Json::Object{}) : *a.find("properties");
  Json more = b.find("properties") == nullptr ? Json(Json::Object{}) : *b.find("properties");
  restrict_others(result, b);
  restrict_others(more, a);
  if (!result.is_object() || !more.is_object()) refuse_schema("\"properties\" is no object");
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

Json joined(const std::string& keyword, const Json& a, const Json& b) {
  if (a == b || !is_keyword(keyword)) return a;
  if (keyword == "type") return common_types(a, b);
  if (keyword == "enum") return common_values(a, b);
  if (keyword == "required") return united(a, b);
  if (keyword == "items" || keyword == "additionalProperties") return all_of(a, b);
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

// Without words that others stand for: a constant is a choice of one, and what OpenAPI calls nullable has one type
// more.
Json in_few_words(Json schema) {
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

Json without(const Json& schema, std::string_view keyword) {
  Json rest = schema;
  std::erase_if(rest.as_object(), [&](const Json::Member& member) { return member.first == keyword; });
  return rest;
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
  if (const Json* reference = schema.find("$ref"); reference != nullptr) {
    if (!reference->is_string()) refuse_schema("\"$ref\" is no string");
    result = both(target(reference->as_string()), without(result, "$ref"));
  } else if (const Json* parts = schema.find("allOf"); parts != nullptr) {
    if (!parts->is_array()) refuse_schema("\"allOf\" is no array");
    result = without(result, "allOf");
    for (const Json& part : parts->as_array()) {
      result = both(result, part);
    }
  }
  --depth_;
  return result;
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
    if (keyword != "properties") result.set(keyword, known == nullptr ? value : joined(keyword, *known, value));
  }
  if (has_properties) {
    result.set("properties", joined_properties(a, b));
  }
  spend(result);
  return result;
}

}  // namespace longship
