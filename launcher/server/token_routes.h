#pragma once

#include "engine/engine.h"
#include "launcher/server/completion_request.h"
#include "launcher/server/fields.h"

namespace longship {

/// /tokenize and /detokenize, for bodies as vLLM has them (prompt or messages; tokens) and as llama.cpp has them
/// (content; tokens). Errors: ApiError.
Json tokenize(const Fields& fields, const CompletionParser& parser, const Tokenizer& tokenizer, const EngineInfo& info);
Json detokenize(const Fields& fields, const CompletionParser& parser, const Tokenizer& tokenizer,
                const EngineInfo& info);

}  // namespace longship
