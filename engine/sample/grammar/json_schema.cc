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
#include "engine/sample/grammar/schema_facts.h"
#include "engine/sample/grammar/schema_merge.h"
#include "engine/sample/grammar/schema_words.h"

namespace longship {

namespace {

constexpr int64_t kMostSchemaNodes = 10'000;
constexpr int kMostSchemaDepth = 64;

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

// References are looked up in the whole schema: a part that has an address, and so a root, of its own is no place for
// them.
void check_addresses(const Json& json, bool is_root, bool within) {
  if (json.is_array()) {
    for (const Json& item : json.as_array()) check_addresses(item, false, within);
  }
  if (!json.is_object()) return;
  for (const char* keyword : {"$id", "id"}) {
    const Json* address = json.find(keyword);
    within =
        within || (!is_root && address != nullptr && address->is_string() && !address->as_string().starts_with('#'));
  }
  const Json* reference = json.find("$ref");
  if (within && reference != nullptr && reference->is_string()) {
    refuse_schema("a \"$ref\" within a schema that has an \"$id\" of its own is not supported");
  }
  for (const auto& [key, value] : json.as_object()) {
    const bool is_value = key == "enum" || key == "const" || key == "default" || key == "examples";
    if (!is_value) check_addresses(value, false, within);
  }
}

// A value that is to be written as it is. Larger numbers have lost their last digits.
void check_exact(const Json& value) {
  constexpr double kMost = 9223372036854775808.0;
  if (value.is_double() && std::abs(value.as_double()) >= kMost) {
    refuse_schema("a number of \"enum\" or \"const\" that has more than 64 bits is not supported");
  }
  if (value.is_array()) std::ranges::for_each(value.as_array(), check_exact);
  if (value.is_object()) {
    for (const auto& [key, member] : value.as_object()) check_exact(member);
  }
}

class SchemaReader {
 public:
  SchemaReader(Grammar& grammar, const Json& root)
      : root_(root), grammar_(grammar), merge_(root), facts_(merge_), text_(grammar) {}

  ExprId read() {
    check_size(root_, 0);
    check_addresses(root_, true, false);
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
    std::vector<Json> schemas;
    std::vector<ExprId> choices;
    for (const Json& alternative : alternatives.as_array()) {
      schemas.push_back(rest.as_object().empty() ? alternative : merge_.both(rest, alternative));
      choices.push_back(value(schemas.back()));
    }
    if (keyword == "oneOf") check_apart(schemas);
    return grammar_.choice(choices);
  }

  // A value that is written for one must be none of the others.
  void check_apart(const std::vector<Json>& schemas) {
    for (std::size_t i = 0; i < schemas.size(); ++i) {
      for (std::size_t k = 0; k < schemas.size(); ++k) {
        if (i != k && !facts_.apart(schemas[i], schemas[k])) {
          refuse_schema("schemas " + std::to_string(std::min(i, k)) + " and " + std::to_string(std::max(i, k)) +
                        " of \"oneOf\" may describe the same value, which is not supported; \"anyOf\" allows it");
        }
      }
    }
  }

  ExprId one_of_values(const Json& schema, const Json& values) {
    if (!values.is_array()) refuse_schema("\"enum\" is no array");
    Json rest = schema;
    std::erase_if(rest.as_object(), [](const Json::Member& member) { return member.first == "enum"; });
    std::vector<std::string> texts;
    for (const Json& value : values.as_array()) {
      check_exact(value);
      if (facts_.holds(rest, value)) texts.push_back(dump_json(value));
    }
    return grammar_.one_of(std::move(texts));
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
    const Regex& regex = quoted_regex(keyword, said.as_string());
    if (regex.least < least || (most != kUnbounded && regex.most > most)) {
      refuse_schema("\"" + std::string(keyword) + "\" has strings outside of minLength and maxLength");
    }
    return regex.expr;
  }

  // A string with its quotes; a rule for each pattern and format, wherever it is used.
  const Regex& quoted_regex(const std::string& keyword, const std::string& said) {
    const auto [known, is_new] = regexes_.try_emplace({keyword, said});
    if (is_new) {
      Regex regex =
          keyword == "pattern" ? add_regex(grammar_, said, RegexAnchors::kAnywhere, json_char_of) : with_format(said);
      regex.expr = as_rule(keyword + " " + said.substr(0, 60), text_.quoted(regex.expr));
      known->second = regex;
    }
    return known->second;
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
    const auto named_count = static_cast<uint32_t>(properties.size());
    uint32_t least = count_of(schema, "minProperties").value_or(0);
    uint32_t most = count_of(schema, "maxProperties").value_or(kUnbounded);
    if (least > most) return grammar_.nothing();
    if (required.size() >= least) least = 0;
    if (!open && named_count <= most) most = kUnbounded;
    const bool counted = least > 0 || most != kUnbounded;
    if (properties.empty() && open && !counted && (others == nullptr || *others == Json(true))) return text_.object();
    if (open && least > named_count + 1) {
      refuse_schema("a \"minProperties\" above the number of named properties and one is not supported");
    }
    std::optional<ExprId> other;
    if (open) {
      const ExprId key = text_.string_other_than({names.begin(), names.end()});
      other = grammar_.sequence({key, text_.colon(), others == nullptr ? text_.value() : value(*others)});
    }
    const ExprId members =
        counted ? counted_members(properties, required, {other, least, most}) : members_of(properties, required, other);
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
      const ExprId behind = as_rule("behind " + name, later);
      const bool may_miss = !required.contains(name);
      first = grammar_.choice({grammar_.sequence({pair, behind}), may_miss ? first : grammar_.nothing()});
      later =
          grammar_.choice({grammar_.sequence({text_.comma(), pair, behind}), may_miss ? behind : grammar_.nothing()});
    }
    return first;
  }

  // What an object may have beside its named properties, and how many members in all.
  struct MemberRules {
    std::optional<ExprId> other;
    uint32_t least;
    uint32_t most;
  };

  // As members_of(), but for each number of members that may have come before: `behind[n]` is what may come behind n,
  // in the last place n or more.
  ExprId counted_members(const std::vector<std::pair<std::string, Json>>& properties,
                         const std::set<std::string>& required, const MemberRules& rules) {
    const auto named = static_cast<uint32_t>(properties.size());
    const uint32_t last = std::min(named, rules.most == kUnbounded ? rules.least : rules.most);
    std::vector<ExprId> behind;
    for (uint32_t n = 0; n <= last; ++n) behind.push_back(others_behind(n, rules));
    for (uint32_t i = named; i-- > 0;) {
      const auto& [name, schema] = properties[i];
      const ExprId pair = grammar_.sequence({text_.string_of(name), text_.colon(), value(schema)});
      const bool may_miss = !required.contains(name);
      for (ExprId& one : behind) one = as_rule(name, one);
      std::vector<ExprId> here;
      for (uint32_t n = 0; n <= last; ++n) {
        const ExprId begin = n == 0 ? pair : grammar_.sequence({text_.comma(), pair});
        const ExprId taken =
            n >= rules.most ? grammar_.nothing() : grammar_.sequence({begin, behind[std::min(n + 1, last)]});
        here.push_back(grammar_.choice({taken, may_miss ? behind[n] : grammar_.nothing()}));
      }
      behind = std::move(here);
    }
    return behind.front();
  }

  // The members that are not named, behind n that are. Two of them may have one name, so that only one is sure to
  // count.
  ExprId others_behind(uint32_t n, const MemberRules& rules) {
    const uint32_t needed = rules.least - std::min(rules.least, n);
    const ExprId end = n == 0 ? grammar_.empty() : text_.gap();
    if (!rules.other || n >= rules.most) return needed > 0 ? grammar_.nothing() : end;
    if (needed > 1) return grammar_.nothing();
    const ExprId more = grammar_.sequence({text_.comma(), *rules.other});
    const auto repeated = [&](uint32_t least, uint32_t less) {
      return grammar_.repeat(more, least, rules.most == kUnbounded ? kUnbounded : rules.most - less);
    };
    if (n > 0) return grammar_.sequence({repeated(needed, n), text_.gap()});
    const ExprId all = grammar_.sequence({*rules.other, repeated(0, 1), text_.gap()});
    return needed > 0 ? all : grammar_.optional(all);
  }

  ExprId as_rule(const std::string& name, ExprId body) {
    const RuleId rule = grammar_.add_rule(name, true);
    grammar_.define(rule, body);
    return grammar_.call(rule);
  }

  const Json& root_;
  Grammar& grammar_;
  SchemaMerge merge_;
  SchemaFacts facts_;
  JsonText text_;
  std::map<std::string, RuleId> rules_;
  std::map<std::pair<std::string, std::string>, Regex> regexes_;  ///< By keyword and what it says.
  std::vector<std::pair<RuleId, Json>> pending_;
};

}  // namespace

ExprId add_json_schema(Grammar& grammar, const Json& schema) {
  return SchemaReader(grammar, schema).read();
}

}  // namespace longship
