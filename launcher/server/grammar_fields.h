#pragma once

#include "core/json.h"
#include "engine/sample/grammar/grammar_spec.h"

namespace longship {

/// The grammar that a body asks for, checked: by response_format (OpenAI), structured_outputs or guided_* (vLLM), or
/// grammar (llama.cpp), at most one of them. Takes 100 ms or so at worst. Errors: ApiError, 400 with the field.
GrammarSpec grammar_of(const Json& body);

}  // namespace longship
