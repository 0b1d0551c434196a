#include "launcher/server/tool_use.h"

#include <algorithm>

#include "launcher/server/api_error.h"

namespace longship {

namespace {

constexpr std::size_t kMostTools = 128;
constexpr std::size_t kMostNameBytes = 64;

bool is_function_name(const std::string& name) {
  constexpr std::string_view kOthers = "_-.";
  const auto possible = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kOthers.find(c) != std::string_view::npos;
  };
  return !name.empty() && name.size() <= kMostNameBytes && std::all_of(name.begin(), name.end(), possible);
}

const Json& object_member(const Fields& fields, const char* key) {
  const Json* value = fields.find(key);
  if (value == nullptr || !value->is_object()) {
    fields.fail(key, "must be an object");
  }
  return *value;
}

// The name of the function that a tool, or a choice of one, is about.
std::string function_name(const Json& tool, const std::string& place) {
  const Fields fields(tool, place + ".");
  if (fields.text("type").value_or("function") != "function") {
    fields.fail("type", "must be function");
  }
  const Fields function(object_member(fields, "function"), place + ".function.");
  std::string name = function.text("name").value_or("");
  if (!is_function_name(name)) {
    function.fail("name", "must have 1 to " + std::to_string(kMostNameBytes) + " of the characters a-z A-Z 0-9 _ - .");
  }
  return name;
}

void read_tool(const Json& tool, const std::string& place, ToolUse& use) {
  if (!tool.is_object()) {
    throw ApiError{.status = 400, .message = place + " must be an object", .param = place};
  }
  const std::string name = function_name(tool, place);
  const Fields function(*tool.find("function"), place + ".function.");
  if (std::find(use.functions.begin(), use.functions.end(), name) != use.functions.end()) {
    function.fail("name", "stands twice: " + name);
  }
  function.text("description");
  if (function.find("parameters") != nullptr) {
    object_member(function, "parameters");
  }
  use.strict = function.flag("strict").value_or(false) || use.strict;
  use.functions.push_back(name);
  use.tools.push_back(tool);
}

void read_choice(const Fields& fields, ToolUse& use) {
  const Json* choice = fields.find("tool_choice");
  if (choice == nullptr) {
    return;
  }
  if (choice->is_object()) {
    use.choice = ToolUse::Choice::kNamed;
    use.named = function_name(*choice, "tool_choice");
    if (std::find(use.functions.begin(), use.functions.end(), use.named) == use.functions.end()) {
      fields.fail("tool_choice", "names a function that tools does not have: " + use.named);
    }
  } else if (*choice == Json("none")) {
    use.choice = ToolUse::Choice::kNone;
  } else if (*choice == Json("required")) {
    use.choice = ToolUse::Choice::kRequired;
  } else if (*choice != Json("auto")) {
    fields.fail("tool_choice",
                "must be none, auto, required or {\"type\": \"function\", \"function\": {\"name\": ...}}");
  }
  if (use.functions.empty() && use.choice != ToolUse::Choice::kNone && *choice != Json("auto")) {
    fields.fail("tool_choice", "needs tools");
  }
}

}  // namespace

ToolUse read_tool_use(const Fields& fields) {
  ToolUse use;
  for (const char* key : {"functions", "function_call"}) {
    if (fields.find(key) != nullptr) {
      fields.fail(key, "is not supported: use tools and tool_choice");
    }
  }
  if (const Json* tools = fields.find("tools"); tools != nullptr) {
    if (!tools->is_array() || tools->as_array().size() > kMostTools) {
      fields.fail("tools", "must be an array of at most " + std::to_string(kMostTools) + " functions");
    }
    for (std::size_t i = 0; i < tools->as_array().size(); ++i) {
      read_tool(tools->as_array()[i], "tools[" + std::to_string(i) + "]", use);
    }
  }
  use.choice = use.functions.empty() ? ToolUse::Choice::kNone : ToolUse::Choice::kAuto;
  read_choice(fields, use);
  use.parallel = fields.flag("parallel_tool_calls").value_or(true);
  if (use.choice == ToolUse::Choice::kNone) {
    use.tools.clear();
    use.functions.clear();
  }
  return use;
}

}  // namespace longship
