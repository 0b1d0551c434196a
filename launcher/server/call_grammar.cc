#include "launcher/server/call_grammar.h"

#include <algorithm>

#include "core/error.h"
#include "launcher/server/api_error.h"

namespace longship {

namespace {

// The texts around the arguments of a call; marks may be special tokens.
struct CallText {
  std::string mark;
  std::string before;
  std::string behind;
  std::string end_mark;
};

CallText call_text(ToolFormat format, const std::string& function) {
  const std::string name = dump_json(Json(function));
  switch (format) {
    case ToolFormat::kHermes:
      return {"<tool_call>", "\n{\"name\": " + name + ", \"arguments\": ", "}\n", "</tool_call>"};
    case ToolFormat::kLlama3:
      return {"", "{\"name\": " + name + ", \"parameters\": ", "}", ""};
    default:
      return {"[TOOL_CALLS]", "[{\"name\": " + name + ", \"arguments\": ", "}]", ""};
  }
}

// A mark as a TEXT of the grammar.
Json mark_text(const std::string& mark, const std::vector<std::string>& special) {
  if (std::find(special.begin(), special.end(), mark) == special.end()) {
    return {mark};
  }
  Json token;
  token.set("special", mark);
  return token;
}

// Two parts of a TEXT, one behind the other.
Json joined(Json first, Json second) {
  if (first.is_string() && second.is_string()) {
    return {first.as_string() + second.as_string()};
  }
  return {Json::Array{std::move(first), std::move(second)}};
}

// Text in which calls may stand, as the reader of replies finds them.
Json free_text(const ReplyFormat& reply, const std::vector<std::string>& special) {
  const ToolFormat format = reply.tools;
  Json free;
  const std::string mark = format == ToolFormat::kLlama3 ? "<|python_tag|>" : call_text(format, "").mark;
  free.set("mark", mark_text(mark, special));
  free.set("first", format == ToolFormat::kLlama3 ? "tag" : (format == ToolFormat::kHermes ? "text" : "any"));
  free.set("never", std::string(reasoning_marks(reply.reasoning).open));
  return free;
}

const char* separator(ToolFormat format) {
  return format == ToolFormat::kHermes ? "\n" : (format == ToolFormat::kLlama3 ? "; " : "");
}

// Arguments are an object, whatever the schema leaves open, or what only `strict` functions hold to asks for. A
// function without a schema has none, as in the OpenAI API.
Json schema_of(const Json& tool, bool only_strict) {
  const Json& function = *tool.find("function");
  const Json* parameters = function.find("parameters");
  const Json* strict = function.find("strict");
  const bool open = only_strict && (strict == nullptr || *strict != Json(true));
  if (!open && (parameters == nullptr || parameters->is_null())) {
    return Json::Object{{"type", "object"}, {"properties", Json::Object{}}};
  }
  Json schema = open ? Json(Json::Object{}) : *parameters;
  if (schema.as_object().empty()) {
    schema.set("type", "object");
  }
  return schema;
}

}  // namespace

GrammarSpec call_grammar(const ToolUse& use, const ReplyFormat& reply, const std::vector<std::string>& special) {
  const ToolFormat format = reply.tools;
  const bool named = use.choice == ToolUse::Choice::kNamed;
  const bool free = use.choice == ToolUse::Choice::kAuto;
  if (use.choice == ToolUse::Choice::kNone || (free && !use.strict)) {
    return {};
  }
  Json::Array tags;
  for (std::size_t i = 0; i < use.tools.size(); ++i) {
    if (named && use.functions[i] != use.named) {
      continue;
    }
    const CallText text = call_text(format, use.functions[i]);
    Json tag;
    tag.set("begin", free ? Json(text.before) : joined(mark_text(text.mark, special), text.before));
    tag.set("schema", schema_of(use.tools[i], free));
    tag.set("end", joined(text.behind, mark_text(text.end_mark, special)));
    tags.push_back(std::move(tag));
  }
  Json json;
  json.set("tags", std::move(tags));
  json.set("separator", separator(format));
  json.set("least", 1);
  if (free) {
    json.set("free", free_text(reply, special));
  }
  if (named || !use.parallel) {
    json.set("most", 1);
  }
  GrammarSpec spec{GrammarSpec::Kind::kTagged, dump_json(json)};
  try {
    compile_grammar(spec);
  } catch (const Error& error) {
    throw ApiError{.status = 400,
                   .message = "tools: a schema of parameters: " + error.cause() +
                              (error.remedy().empty() ? "" : ". " + error.remedy()),
                   .param = "tools"};
  }
  return spec;
}

}  // namespace longship
