#pragma once

#include <string>

#include "core/json.h"
#include "engine/text/reply/reply_format.h"
#include "launcher/server/fields.h"

namespace longship {

/// A message of a chat, checked, as templates take it: role, content as one text, and where given name, tool_calls with
/// their arguments as objects, tool_call_id and reasoning_content. `place` is its name in errors. `format` decides what
/// ids of calls may look like. Errors: ApiError.
Json template_message(const Json& message, const std::string& place, ToolFormat format);

/// The text of a message's content: a string, or parts that are text.
std::string content_text(const Fields& message, bool needed);

}  // namespace longship
