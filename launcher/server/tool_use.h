#pragma once

#include <string>
#include <vector>

#include "core/json.h"
#include "launcher/server/fields.h"

namespace longship {

/// What the request of a chat says about functions that the model may call.
struct ToolUse {
  enum class Choice : uint8_t {
    kNone,      ///< No call is looked for; also where no functions are given.
    kAuto,      ///< The model may call.
    kRequired,  ///< It must call one of them,
    kNamed,     ///< or this one.
  };

  Choice choice = Choice::kNone;
  Json::Array tools;                   ///< As the client gave them, for the template; empty with kNone.
  std::vector<std::string> functions;  ///< Their names.
  std::string named;                   ///< The function of kNamed.
  bool parallel = true;                ///< More than one call may be answered.
  bool strict = false;                 ///< Calls that the model chooses to make are held to their schemas.
};

/// Reads tools, tool_choice and parallel_tool_calls. Errors: ApiError.
ToolUse read_tool_use(const Fields& fields);

}  // namespace longship
