#include "engine/sample/grammar/schema_strings.h"

#include <algorithm>

#include "engine/sample/grammar/json_format.h"
#include "engine/sample/grammar/schema_merge.h"
#include "engine/sample/grammar/schema_negation.h"
#include "engine/sample/grammar/schema_words.h"

namespace longship {

TextRules string_rules(const Json& schema) {
  TextRules rules{.least = count_of(schema, "minLength").value_or(0),
                  .most = count_of(schema, "maxLength").value_or(kUnbounded)};
  const auto add = [&](const Json& pattern) {
    if (!pattern.is_string()) refuse_schema("\"pattern\" is no string");
    rules.rules.push_back({pattern.as_string()});
  };
  if (const Json* pattern = schema.find("pattern"); pattern != nullptr) {
    add(*pattern);
    const Json* others = schema.find(kMorePatterns);
    if (others != nullptr && others->is_array()) std::ranges::for_each(others->as_array(), add);
  }
  if (const Json* patterns = schema.find(kNotPatterns); patterns != nullptr && patterns->is_array()) {
    std::ranges::for_each(patterns->as_array(), add);
    for (std::size_t i = 0; i < patterns->as_array().size(); ++i) rules.rules[rules.rules.size() - 1 - i].holds = false;
  }
  if (const Json* texts = schema.find(kOtherThan); texts != nullptr && texts->is_array()) {
    for (const Json& text : texts->as_array()) {
      if (text.is_string()) rules.other_than.push_back(text.as_string());
    }
  }
  if (const Json* format = schema.find("format"); format != nullptr) {
    if (!format->is_string()) refuse_schema("\"format\" is no string");
    const auto pattern = pattern_of_format(format->as_string());
    if (pattern) rules.rules.push_back({std::string(*pattern), RegexAnchors::kWholeText});
  }
  return rules;
}

}  // namespace longship
