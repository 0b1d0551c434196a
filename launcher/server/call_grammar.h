#pragma once

#include "engine/sample/grammar/grammar_spec.h"
#include "engine/text/reply/reply_format.h"
#include "launcher/server/tool_use.h"

namespace longship {

/// What a reply is that must call functions, in the model's format: one call or more of those that `use` lets be
/// called, their arguments as their schemas say. kNone where no call is forced. Errors: ApiError, 400, for a schema
/// that is refused. Takes 100 ms or so at worst.
GrammarSpec call_grammar(const ToolUse& use, ToolFormat format);

}  // namespace longship
