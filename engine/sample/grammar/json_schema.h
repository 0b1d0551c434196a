#pragma once

#include "core/json.h"
#include "engine/sample/grammar/grammar.h"

namespace longship {

/// The JSON texts that a JSON schema describes, or some of them where the schema leaves open what no client asks for:
/// properties come in the order of the schema; without additionalProperties an object that names properties has no
/// others, and without items an array that has prefixItems has just those; numbers as in JsonText; texts of a
/// format are those of its common form; unique items of many values come in the order of the schema. Whole or not at
/// all: a keyword that would change the meaning and is not known is refused by name. Errors: kUsage.
ExprId add_json_schema(Grammar& grammar, const Json& schema);

}  // namespace longship
