#pragma once

#include <string>
#include <vector>

#include "engine/sample/grammar/grammar_spec.h"
#include "engine/text/reply/reply_format.h"
#include "launcher/server/tool_use.h"

namespace longship {

/// What a reply is that must call functions, in the model's format: one call or more of those that `use` lets be
/// called, their arguments as their schemas say. Where the model may call, and a function is strict: text and calls, of
/// which those of strict functions hold to their schemas; it does not begin with reasoning, for which
/// GrammarSpec::reasoning is. Else kNone. `special`: the marks of the format that are
/// special tokens of the model. Errors: ApiError, 400, for a schema that is refused. Takes 100 ms or so at worst.
GrammarSpec call_grammar(const ToolUse& use, const ReplyFormat& format, const std::vector<std::string>& special);

}  // namespace longship
