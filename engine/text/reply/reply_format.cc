#include "engine/text/reply/reply_format.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "engine/text/reply/json_scanner.h"

namespace longship {

namespace {

template <class Format>
struct Name {
  std::string_view name;
  Format format;
};

constexpr std::array<Name<ToolFormat>, 5> kToolNames = {{{"none", ToolFormat::kNone},
                                                         {"hermes", ToolFormat::kHermes},
                                                         {"qwen", ToolFormat::kHermes},
                                                         {"llama3_json", ToolFormat::kLlama3},
                                                         {"mistral", ToolFormat::kMistral}}};

constexpr std::array<Name<ReasoningFormat>, 5> kReasoningNames = {{{"none", ReasoningFormat::kNone},
                                                                   {"think", ReasoningFormat::kThink},
                                                                   {"deepseek_r1", ReasoningFormat::kThink},
                                                                   {"qwen3", ReasoningFormat::kThink},
                                                                   {"mistral", ReasoningFormat::kMistral}}};

template <class Names>
auto find_name(const Names& names, std::string_view name) {
  const auto found = std::find_if(names.begin(), names.end(), [&](const auto& one) { return one.name == name; });
  return found == names.end() ? std::nullopt : std::optional(found->format);
}

template <class Names>
std::string join_names(const Names& names) {
  std::string text;
  for (const auto& one : names) {
    text += (text.empty() ? "" : ", ") + std::string(one.name);
  }
  return text;
}

Json function_json(const char* name, const char* key, Json value) {
  Json function;
  function.set("name", name);
  if (std::string_view(key) == "parameters") {
    function.set("description", "d");
  }
  function.set(key, std::move(value));
  return function;
}

Json of_type_function(Json function) {
  Json json;
  json.set("type", "function");
  json.set("function", std::move(function));
  return json;
}

Json message(const char* role, const char* content) {
  Json json;
  json.set("role", role);
  json.set("content", content);
  return json;
}

// A conversation with the call called({"key": "value"}).
Json example() {
  Json schema;
  schema.set("type", "object");
  schema.set("properties", Json(Json::Object{}));
  Json arguments;
  arguments.set("key", "value");
  Json call = of_type_function(function_json("called", "arguments", std::move(arguments)));
  call.set("id", "call00000");
  Json asking = message("assistant", "");
  asking.set("tool_calls", Json::Array{std::move(call)});
  Json variables;
  variables.set("messages", Json::Array{message("user", "u"), std::move(asking)});
  variables.set("tools", Json::Array{of_type_function(function_json("offered", "parameters", std::move(schema)))});
  variables.set("add_generation_prompt", false);
  return variables;
}

ToolFormat tool_format_of(std::string text) {
  std::erase_if(text, is_json_space);
  const auto contains = [&](std::string_view part) { return text.find(part) != std::string::npos; };
  if (contains("<tool_call>{\"name\":\"called\",\"arguments\":{\"key\":\"value\"}}</tool_call>")) {
    return ToolFormat::kHermes;
  }
  if (contains("[TOOL_CALLS][{\"name\":\"called\"") || contains("[TOOL_CALLS]called")) {
    return ToolFormat::kMistral;
  }
  if (contains("{\"name\":\"called\",\"parameters\":{\"key\":\"value\"}}")) {
    return ToolFormat::kLlama3;
  }
  return ToolFormat::kNone;
}

}  // namespace

ReasoningMarks reasoning_marks(ReasoningFormat format) {
  switch (format) {
    case ReasoningFormat::kThink:
      return {"<think>", "</think>"};
    case ReasoningFormat::kMistral:
      return {"[THINK]", "[/THINK]"};
    default:
      return {};
  }
}

std::vector<std::string_view> marks_of(const ReplyFormat& format) {
  std::vector<std::string_view> marks;
  if (format.reasoning != ReasoningFormat::kNone) {
    marks = {reasoning_marks(format.reasoning).open, reasoning_marks(format.reasoning).close};
  }
  constexpr std::string_view kHermes[] = {"<tool_call>", "</tool_call>"};
  constexpr std::string_view kLlama[] = {"<|python_tag|>"};
  constexpr std::string_view kMistral[] = {"[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"};
  const auto add = [&](const auto& more) { marks.insert(marks.end(), std::begin(more), std::end(more)); };
  switch (format.tools) {
    case ToolFormat::kHermes:
      add(kHermes);
      break;
    case ToolFormat::kLlama3:
      add(kLlama);
      break;
    case ToolFormat::kMistral:
      add(kMistral);
      break;
    default:
      break;
  }
  return marks;
}

ReplyFormat find_reply_format(std::string_view source, const std::function<std::string(const Json&)>& render) {
  ReplyFormat format;
  for (const ReasoningFormat reasoning : {ReasoningFormat::kThink, ReasoningFormat::kMistral}) {
    if (source.find(reasoning_marks(reasoning).close) != std::string_view::npos) {
      format.reasoning = reasoning;
    }
  }
  try {
    format.tools = tool_format_of(render(example()));
  } catch (const Error&) {
    format.tools = ToolFormat::kNone;
  }
  return format;
}

std::optional<ToolFormat> tool_format_named(std::string_view name) {
  return find_name(kToolNames, name);
}

std::optional<ReasoningFormat> reasoning_format_named(std::string_view name) {
  return find_name(kReasoningNames, name);
}

std::string tool_format_names() {
  return join_names(kToolNames);
}

std::string reasoning_format_names() {
  return join_names(kReasoningNames);
}

}  // namespace longship
