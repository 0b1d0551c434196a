#pragma once

#include "engine/engine.h"
#include "launcher/generate/model_text.h"
#include "launcher/server/fields.h"

namespace longship {

constexpr int64_t kMostTopLogprobs = 20;

/// What a body says of how tokens are chosen and how many of them: all of a request but its prompt. The model's ends
/// of a text are among its stops unless the body says otherwise. Errors: ApiError.
GenerationRequest read_generation(const Fields& fields, bool chat, int64_t vocab, const ModelText& model);

}  // namespace longship
