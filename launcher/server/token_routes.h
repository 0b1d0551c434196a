#pragma once

#include "core/json.h"
#include "engine/engine.h"
#include "launcher/server/completion_request.h"

namespace longship {

/// /tokenize and /detokenize, for bodies as vLLM has them (prompt or messages; tokens) and as llama.cpp has them
/// (content; tokens). Errors: ApiError.
Json tokenize(const Json& body, const CompletionParser& parser, const Tokenizer& tokenizer, const EngineInfo& info);
Json detokenize(const Json& body, const CompletionParser& parser, const Tokenizer& tokenizer, const EngineInfo& info);

}  // namespace longship
