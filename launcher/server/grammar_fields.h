#pragma once

#include "engine/sample/grammar/grammar_spec.h"
#include "launcher/server/fields.h"

namespace longship {

/// The grammar that a body asks for, checked: by response_format (OpenAI), structured_outputs or guided_* (vLLM), or
/// grammar (llama.cpp), at most one of them. Takes 100 ms or so at worst. Errors: ApiError, 400 with the field.
GrammarSpec grammar_of(const Fields& fields);

}  // namespace longship
