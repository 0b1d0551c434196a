#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/json.h"
#include "engine/sample/grammar/automaton.h"
#include "engine/sample/grammar/regex.h"
#include "engine/sample/grammar/schema_merge.h"

namespace longship {

/// What is certain of the values of JSON schemas.
class SchemaFacts {
 public:
  /// `merge` outlives this.
  explicit SchemaFacts(SchemaMerge& merge) : merge_(merge) {}

  /// Whether the value is one of the schema's. Errors: kUsage for a schema that is refused.
  bool holds(const Json& schema, const Json& value);
  /// True only if no value that is written for `a` is one of `b`. Objects are written with the properties that a schema
  /// names, unless it says something of others. Errors: kUsage.
  bool apart(const Json& a, const Json& b);
  /// All values of the schema, each once, if there are only some that enum, const, boolean or narrow bounds tell.
  /// Errors: kUsage.
  std::optional<std::vector<Json>> few_values(const Json& schema);
  /// Errors: kUsage for a pattern that is refused.
  bool is_match(const std::string& pattern, RegexAnchors anchors, const std::string& text);

 private:
  bool add_values(const Json& schema, std::vector<Json>& values);
  bool holds_all(const Json& schema, const Json& value);
  bool holds_string(const Json& schema, const std::string& text);
  bool holds_array(const Json& schema, const Json& array);
  bool holds_object(const Json& schema, const Json& object);
  bool types_apart(const Json& a, const Json& b, const std::string& type);
  bool objects_apart(const Json& a, const Json& b);

  SchemaMerge& merge_;
  std::map<std::pair<RegexAnchors, std::string>, std::shared_ptr<const Automaton>> patterns_;  ///< That were asked for.
  int depth_ = 0;
};

}  // namespace longship
