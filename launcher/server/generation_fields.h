#pragma once

#include <span>

#include "engine/engine.h"
#include "launcher/server/fields.h"

namespace longship {

/// What a body says of how tokens are chosen and how many of them: all of a request but its prompt. `end_ids` end a
/// text unless the body says otherwise. Errors: ApiError.
GenerationRequest read_generation(const Fields& fields, bool chat, int64_t vocab, std::span<const int32_t> end_ids);

}  // namespace longship
