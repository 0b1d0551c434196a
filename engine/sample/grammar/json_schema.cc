#include "engine/sample/grammar/json_schema.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/sample/grammar/acceptor.h"
#include "engine/sample/grammar/json_number.h"
#include "engine/sample/grammar/json_text.h"
#include "engine/sample/grammar/multiple_of.h"
#include "engine/sample/grammar/regex.h"
#include "engine/sample/grammar/schema_facts.h"
#include "engine/sample/grammar/schema_members.h"
#include "engine/sample/grammar/schema_merge.h"
#include "engine/sample/grammar/schema_strings.h"
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
      : root_(root), grammar_(grammar), merge_(root), facts_(merge_), text_(grammar), products_(grammar) {}

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
    const std::optional<Multiple> multiple = multiple_in(schema);
    if (multiple && multiple->decimals == 0) return integer(schema);
    auto [least, most] = bounds_of(schema);
    if (multiple) {
      const double reach = std::pow(10.0, kDigitsOfDoubles - multiple->decimals);
      if (!least || least->value < -reach) least = {-reach, true};
      if (!most || most->value > reach) most = {reach, true};
      Grammar all;
      all.define(all.add_rule("number"), number_between(all, least, most));
      return add_multiples(grammar_, products_, all, *multiple);
    }
    return least || most ? number_between(grammar_, least, most) : text_.number();
  }

  ExprId integer(const Json& schema) {
    const auto [least, most] = integers_of(schema);
    if (const std::optional<Multiple> multiple = multiple_in(schema)) {
      return integer_multiples(grammar_, products_, {least, most}, *multiple);
    }
    const auto [low, high] = bounds_of(schema);
    return low || high ? integer_between(grammar_, least, most) : text_.integer();
  }

  ExprId string(const Json& schema) {
    const TextRules rules = string_rules(schema);
    if (rules.least > rules.most) return grammar_.nothing();
    if (rules.rules.empty() && rules.other_than.empty()) return text_.string(rules.least, rules.most);
    if (rules.rules.empty() && rules.least == 0 && rules.most == kUnbounded) {
      return text_.string_other_than(rules.other_than);
    }
    return quoted_text(rules);
  }

  // A string with its quotes; a rule for each set of conditions, wherever it is used.
  ExprId quoted_text(const TextRules& rules) {
    std::string key = std::to_string(rules.least) + " " + std::to_string(rules.most);
    for (const auto& [pattern, anchors, holds] : rules.rules) {
      key += std::string(anchors == RegexAnchors::kAnywhere ? "\npattern " : "\nformat ") + (holds ? "" : "not ") +
             pattern;
    }
    for (const std::string& text : rules.other_than) key += "\nother than " + text;
    const auto [known, is_new] = texts_.try_emplace(key);
    if (is_new) known->second = as_rule(key.substr(0, 60), text_.quoted(text_of(rules)));
    return known->second;
  }

  ExprId text_of(const TextRules& rules) {
    if (rules.rules.size() == 1 && rules.rules.front().holds && rules.other_than.empty()) {
      const auto& [pattern, anchors, holds] = rules.rules.front();
      const Regex regex = add_regex(grammar_, pattern, anchors, json_char_of, {rules.least, rules.most});
      if (regex.least >= rules.least && (rules.most == kUnbounded || regex.most <= rules.most)) return regex.expr;
    }
    return add_text(grammar_, products_, rules, json_char_of);
  }

  ExprId array(const Json& schema) {
    const Json* items = schema.find("items");
    const Json* tuple = schema.find("prefixItems");
    if (tuple != nullptr && !tuple->is_array()) refuse_schema("\"prefixItems\" is no array");
    std::vector<ExprId> first;
    for (const Json& item : tuple == nullptr ? Json::Array{} : tuple->as_array()) first.push_back(value(item));
    const auto fixed = static_cast<uint32_t>(first.size());
    const uint32_t least = count_of(schema, "minItems").value_or(fixed);
    const uint32_t most = count_of(schema, "maxItems").value_or(kUnbounded);
    if (least > most) return grammar_.nothing();
    const Json* unique = schema.find("uniqueItems");
    if (unique != nullptr && *unique == Json(true) && most > 1) return unique_array(schema, least, most);
    const bool closed = items == nullptr && fixed > 0;
    const ExprId other = closed ? grammar_.nothing() : (items == nullptr ? text_.value() : value(*items));
    const ExprId content = elements(first, other, least, most);
    return grammar_.sequence({grammar_.literal("["), text_.gap(), content, grammar_.literal("]")});
  }

  ExprId unique_array(const Json& schema, uint32_t least, uint32_t most) {
    const Json* items = schema.find("items");
    const bool plain = items != nullptr && !items->is_array() && schema.find("prefixItems") == nullptr;
    const auto values = plain ? facts_.few_values(*items) : std::nullopt;
    if (!values) {
      refuse_schema("\"uniqueItems\" is only supported for \"items\" of a few values: those of enum, const or boolean");
    }
    std::vector<ExprId> texts;
    for (const Json& one : *values) {
      check_exact(one);
      texts.push_back(grammar_.literal(dump_json(one)));
    }
    most = std::min(most, static_cast<uint32_t>(texts.size()));
    if (least > most) return grammar_.nothing();
    ExprId content = grammar_.empty();
    if (const auto any_order = different(texts, std::max(least, 1U), most)) {
      content = grammar_.sequence({*any_order, text_.gap()});
      if (least == 0) content = grammar_.optional(content);
    } else {
      std::vector<Part> parts;
      for (const ExprId text : texts) parts.push_back({.expr = text, .name = "value"});
      const bool counted = least > 0 || most < texts.size();
      content = counted ? counted_parts(parts, {std::nullopt, least, most}) : parts_of(parts, std::nullopt);
    }
    return grammar_.sequence({grammar_.literal("["), text_.gap(), content, grammar_.literal("]")});
  }

  // How many sets of at most `most` of so many there are.
  static std::size_t subsets(std::size_t of, std::size_t most) {
    std::size_t all = 0;
    std::size_t of_size = 1;
    for (std::size_t size = 0; size <= std::min(of, most); ++size) {
      all += of_size;
      of_size = of_size * (of - size) / (size + 1);
    }
    return all;
  }

  // `least` (one or more) to `most` of the texts in any order, none twice; nothing if there are too many orders.
  std::optional<ExprId> different(const std::vector<ExprId>& texts, uint32_t least, uint32_t most) {
    constexpr std::size_t kMostTexts = 32;
    constexpr std::size_t kMostStates = 1024;
    if (texts.size() > kMostTexts || subsets(texts.size(), most) > kMostStates) return std::nullopt;
    products_.spend(subsets(texts.size(), most) * texts.size(), "\"uniqueItems\"");
    std::vector<ExprId> later;
    for (const ExprId text : texts) later.push_back(grammar_.sequence({text_.comma(), text}));
    std::map<uint32_t, uint32_t> numbers{{0, 0}};  // by the texts that were there
    std::vector<uint32_t> sets{0};
    std::vector<MachineState> states;
    while (states.size() < sets.size()) {
      const uint32_t here = sets[states.size()];
      const auto count = static_cast<uint32_t>(std::popcount(here));
      MachineState state{.may_end = count >= least};
      for (std::size_t i = 0; i < texts.size() && count < most; ++i) {
        if ((here >> i & 1U) != 0) continue;
        const uint32_t next = here | uint32_t{1} << i;
        const auto [known, is_new] = numbers.try_emplace(next, static_cast<uint32_t>(sets.size()));
        if (is_new) sets.push_back(next);
        state.ways.push_back({here == 0 ? texts[i] : later[i], known->second});
      }
      states.push_back(std::move(state));
    }
    return grammar_.machine(std::move(states));
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
    const std::optional<SchemaMembers> members = members_of_schema(schema, merge_, facts_);
    if (!members) return grammar_.nothing();
    const bool open = !members->others.empty();
    const auto named_count = static_cast<uint32_t>(members->named.size());
    uint32_t least = members->least;
    uint32_t most = members->most;
    const auto required = std::ranges::count_if(members->named, [](const auto& one) { return one.required; });
    if (static_cast<uint32_t>(required) >= least) least = 0;
    if (!open && named_count <= most) most = kUnbounded;
    const bool counted = least > 0 || most != kUnbounded;
    if (open && least > named_count + 1) {
      refuse_schema("a \"minProperties\" above the number of named properties and one is not supported");
    }
    std::vector<ExprId> others;
    for (const SchemaMembers::Others& one : members->others) {
      const ExprId name = name_of_others(*members, one);
      if (name == grammar_.nothing()) continue;
      const bool plain = named_count == 0 && !counted && members->others.size() == 1 && is_any_name(*members, one);
      if (plain && one.schema == Json(true)) return text_.object();
      others.push_back(
          grammar_.sequence({name, text_.colon(), one.schema == Json(true) ? text_.value() : value(one.schema)}));
    }
    const std::optional<ExprId> other = others.empty() ? std::nullopt : std::optional(grammar_.choice(others));
    std::vector<Part> parts;
    for (const auto& [name, said, is_required] : members->named) {
      parts.push_back({grammar_.sequence({text_.string_of(name), text_.colon(), value(said)}), name, is_required});
    }
    const ExprId content = counted ? counted_parts(parts, {other, least, most}) : parts_of(parts, other);
    return grammar_.sequence({grammar_.literal("{"), text_.gap(), content, grammar_.literal("}")});
  }

  static bool is_any_name(const SchemaMembers& members, const SchemaMembers::Others& others) {
    return others.names.empty() && members.least_name == 0 && members.most_name == kUnbounded;
  }

  ExprId name_of_others(const SchemaMembers& members, const SchemaMembers::Others& others) {
    TextRules rules{.rules = others.names, .least = members.least_name, .most = members.most_name};
    for (const SchemaMembers::Named& named : members.named) rules.other_than.push_back(named.name);
    if (is_any_name(members, others)) return text_.string_other_than(rules.other_than);
    const ExprId name = add_text(grammar_, products_, rules, json_char_of);
    return name == grammar_.nothing() ? name : text_.quoted(name);
  }

  // What comes in a fixed place, if it comes: a member of an object.
  struct Part {
    ExprId expr = 0;
    std::string name{};
    bool required = false;
  };

  // Parts in their order and the gap behind the last. Two rules for each say what may come from it on: one for the
  // beginning of the object, one behind another part, where a comma is due.
  ExprId parts_of(const std::vector<Part>& parts, std::optional<ExprId> other) {
    ExprId first = grammar_.empty();
    ExprId later = text_.gap();
    if (other) {
      const ExprId more =
          grammar_.sequence({grammar_.repeat(grammar_.sequence({text_.comma(), *other}), 0, kUnbounded), text_.gap()});
      first = grammar_.optional(grammar_.sequence({*other, more}));
      later = more;
    }
    for (std::size_t i = parts.size(); i-- > 0;) {
      const auto& [part, name, required] = parts[i];
      const ExprId behind = as_rule("behind " + name, later);
      first = grammar_.choice({grammar_.sequence({part, behind}), required ? grammar_.nothing() : first});
      later =
          grammar_.choice({grammar_.sequence({text_.comma(), part, behind}), required ? grammar_.nothing() : behind});
    }
    return first;
  }

  // What may come beside the parts, and how many in all.
  struct PartRules {
    std::optional<ExprId> other;
    uint32_t least;
    uint32_t most;
  };

  // As parts_of(), but for each number of parts that may have come before: `behind[n]` is what may come behind n, in
  // the last place n or more.
  ExprId counted_parts(const std::vector<Part>& parts, const PartRules& rules) {
    const auto named = static_cast<uint32_t>(parts.size());
    const uint32_t last = std::min(named, rules.most == kUnbounded ? rules.least : rules.most);
    std::vector<ExprId> behind;
    for (uint32_t n = 0; n <= last; ++n) behind.push_back(others_behind(n, rules));
    for (uint32_t i = named; i-- > 0;) {
      const auto& [part, name, required] = parts[i];
      for (ExprId& one : behind) one = as_rule(name, one);
      std::vector<ExprId> here;
      for (uint32_t n = 0; n <= last; ++n) {
        const ExprId begin = n == 0 ? part : grammar_.sequence({text_.comma(), part});
        const ExprId taken =
            n >= rules.most ? grammar_.nothing() : grammar_.sequence({begin, behind[std::min(n + 1, last)]});
        here.push_back(grammar_.choice({taken, required ? grammar_.nothing() : behind[n]}));
      }
      behind = std::move(here);
    }
    return behind.front();
  }

  // The members that are not named, behind n that are. Two of them may have one name, so that only one is sure to
  // count.
  ExprId others_behind(uint32_t n, const PartRules& rules) {
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
  Products products_;
  std::map<std::string, RuleId> rules_;
  std::map<std::string, ExprId> texts_;  ///< Strings by what is said of them.
  std::vector<std::pair<RuleId, Json>> pending_;
};

}  // namespace

ExprId add_json_schema(Grammar& grammar, const Json& schema) {
  return SchemaReader(grammar, schema).read();
}

}  // namespace longship
