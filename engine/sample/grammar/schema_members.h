#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "engine/sample/grammar/schema_facts.h"
#include "engine/sample/grammar/text_rules.h"

namespace longship {

/// The members of an object, as a schema describes them.
struct SchemaMembers {
  struct Named {
    std::string name;
    Json schema;
    bool required = false;
  };
  /// Members whose names are none of those.
  struct Others {
    std::vector<TextRule> names;  ///< What holds for their names.
    Json schema;
  };

  std::vector<Named> named;    ///< In the order in which they are written.
  std::vector<Others> others;  ///< One at most is for each name.
  uint32_t least_name = 0;     ///< Characters of other names.
  uint32_t most_name = kUnbounded;
  uint32_t least = 0;  ///< Members in all.
  uint32_t most = kUnbounded;
};

/// The members of a schema without references (SchemaMerge::flat()). Nothing: no object is one of its values. Errors:
/// kUsage.
std::optional<SchemaMembers> members_of_schema(const Json& schema, SchemaMerge& merge, SchemaFacts& facts);

}  // namespace longship
