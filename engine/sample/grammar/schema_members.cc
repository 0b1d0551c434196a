#include "engine/sample/grammar/schema_members.h"

#include <algorithm>
#include <set>

#include "engine/sample/grammar/schema_merge.h"
#include "engine/sample/grammar/schema_strings.h"
#include "engine/sample/grammar/schema_words.h"

namespace longship {

namespace {

constexpr std::size_t kMostNamePatterns = 4;

const Json::Object& members_in(const Json& schema, const char* keyword) {
  static const Json::Object kNone;
  const Json* members = schema.find(keyword);
  if (members == nullptr) return kNone;
  if (!members->is_object()) refuse_schema("\"" + std::string(keyword) + "\" is no object");
  return members->as_object();
}

class MembersReader {
 public:
  MembersReader(const Json& schema, SchemaMerge& merge, SchemaFacts& facts)
      : schema_(schema), facts_(facts), patterns_(members_in(schema, "patternProperties")) {
    const Json* others = schema.find("additionalProperties");
    const bool names_some = schema.find("properties") != nullptr || !patterns_.empty();
    others_ = others == nullptr ? Json(!names_some) : *others;
    of_unnamed_ = others == nullptr ? Json(true) : *others;
    if (const Json* names = schema.find("propertyNames"); names != nullptr) names_ = merge.flat(*names);
    if (patterns_.size() > kMostNamePatterns) {
      refuse_schema("more than " + std::to_string(kMostNamePatterns) + " \"patternProperties\" are not supported");
    }
  }

  std::optional<SchemaMembers> read() {
    result_.least = count_of(schema_, "minProperties").value_or(0);
    result_.most = count_of(schema_, "maxProperties").value_or(kUnbounded);
    if (result_.least > result_.most) return std::nullopt;
    read_required();
    add_absent();
    for (const auto& [name, schema] : members_in(schema_, "properties")) add(name, schema);
    for (const Json& name : required_) add(name.as_string(), std::nullopt);
    if (names_ != Json(true)) read_names();
    if (names_ != Json(false)) add_others(0, {}, {});
    return std::move(result_);
  }

 private:
  void read_required() {
    const Json* list = schema_.find("required");
    if (list == nullptr) return;
    if (!list->is_array()) refuse_schema("\"required\" is no array");
    for (const Json& name : list->as_array()) {
      if (!name.is_string()) refuse_schema("\"required\" is no array of strings");
      required_names_.insert(name.as_string());
    }
    required_ = list->as_array();
  }

  void add_absent() {
    for (const std::string& name : absent_names(schema_)) {
      if (known_.insert(name).second) result_.named.push_back({name, Json(false), required_names_.contains(name)});
    }
  }

  // Once for each name. Of a property that the schema does not name, patterns and additionalProperties say what it is.
  void add(const std::string& name, const std::optional<Json>& own) {
    if (!known_.insert(name).second) return;
    Json::Array all;
    if (own) all.push_back(*own);
    for (const auto& [pattern, schema] : patterns_) {
      if (facts_.is_match(pattern, RegexAnchors::kAnywhere, name)) all.push_back(schema);
    }
    const bool required = required_names_.contains(name);
    if (all.empty() && !required && others_ == Json(false)) return;
    if (all.empty()) all.push_back(of_unnamed_);
    const bool allowed = names_ == Json(true) || facts_.holds(names_, Json(name));
    result_.named.push_back({name, allowed ? all_of(all) : Json(false), required});
  }

  static Json all_of(const Json::Array& all) {
    if (all.empty()) return true;
    if (all.size() == 1) return all.front();
    Json result;
    result.set("allOf", all);
    return result;
  }

  // What propertyNames says: a few names, or what holds for all.
  void read_names() {
    if (names_.is_bool()) return;
    if (const Json* values = names_.find("enum"); values != nullptr && values->is_array()) {
      for (const Json& name : values->as_array()) {
        if (name.is_string()) add(name.as_string(), std::nullopt);
      }
      names_ = Json(false);
      return;
    }
    check_keywords(names_);
    for (const char* keyword : {"anyOf", "oneOf"}) {
      if (names_.find(keyword) != nullptr) {
        refuse_schema("\"" + std::string(keyword) + "\" within \"propertyNames\" is not supported");
      }
    }
    if (names_.find("type") != nullptr) {
      const std::vector<std::string> types = types_of(names_);
      if (std::find(types.begin(), types.end(), "string") == types.end()) {
        names_ = Json(false);
        return;
      }
    }
    TextRules rules = string_rules(names_);
    of_all_names_ = std::move(rules.rules);
    result_.least_name = rules.least;
    result_.most_name = rules.most;
  }

  // Members for each choice of the patterns from this on that their names match.
  void add_others(std::size_t pattern, std::vector<TextRule> names, const Json::Array& all) {
    if (std::find(all.begin(), all.end(), Json(false)) != all.end()) return;
    if (pattern < patterns_.size()) {
      const auto& [said, schema] = patterns_[pattern];
      Json::Array more = all;
      more.push_back(schema);
      std::vector<TextRule> others = names;
      names.push_back({said});
      add_others(pattern + 1, std::move(names), more);
      others.push_back({said, RegexAnchors::kAnywhere, false});
      add_others(pattern + 1, std::move(others), all);
      return;
    }
    const Json schema = all.empty() ? others_ : all_of(all);
    if (schema == Json(false)) return;
    names.insert(names.end(), of_all_names_.begin(), of_all_names_.end());
    result_.others.push_back({std::move(names), schema});
  }

  const Json& schema_;
  SchemaFacts& facts_;
  const Json::Object& patterns_;
  Json others_;      ///< Of members that nothing names; false where there are to be none.
  Json of_unnamed_;  ///< Of members that are required and that nothing else names.
  Json names_ = true;
  std::vector<TextRule> of_all_names_;
  Json::Array required_;
  std::set<std::string> required_names_;
  std::set<std::string> known_;
  SchemaMembers result_;
};

}  // namespace

std::optional<SchemaMembers> members_of_schema(const Json& schema, SchemaMerge& merge, SchemaFacts& facts) {
  return MembersReader(schema, merge, facts).read();
}

}  // namespace longship
