#include "launcher/server/call_grammar.h"

#include "core/error.h"
#include "launcher/server/api_error.h"

namespace longship {

namespace {

// The texts around the arguments of a call.
struct CallText {
  std::string before;
  std::string behind;
};

CallText call_text(ToolFormat format, const std::string& function) {
  const std::string name = dump_json(Json(function));
  switch (format) {
    case ToolFormat::kHermes:
      return {"<tool_call>\n{\"name\": " + name + ", \"arguments\": ", "}\n</tool_call>"};
    case ToolFormat::kLlama3:
      return {"{\"name\": " + name + ", \"parameters\": ", "}"};
    default:
      return {"[TOOL_CALLS][{\"name\": " + name + ", \"arguments\": ", "}]"};
  }
}

const char* separator(ToolFormat format) {
  return format == ToolFormat::kHermes ? "\n" : (format == ToolFormat::kLlama3 ? "; " : "");
}

// Arguments are an object, whatever the schema leaves open.
Json schema_of(const Json& tool) {
  const Json* parameters = tool.find("function")->find("parameters");
  Json schema = parameters == nullptr || parameters->is_null() ? Json(Json::Object{}) : *parameters;
  if (schema.as_object().empty()) {
    schema.set("type", "object");
  }
  return schema;
}

}  // namespace

GrammarSpec call_grammar(const ToolUse& use, ToolFormat format) {
  const bool named = use.choice == ToolUse::Choice::kNamed;
  if (!named && use.choice != ToolUse::Choice::kRequired) {
    return {};
  }
  Json::Array tags;
  for (std::size_t i = 0; i < use.tools.size(); ++i) {
    if (named && use.functions[i] != use.named) {
      continue;
    }
    const CallText text = call_text(format, use.functions[i]);
    Json tag;
    tag.set("begin", text.before);
    tag.set("schema", schema_of(use.tools[i]));
    tag.set("end", text.behind);
    tags.push_back(std::move(tag));
  }
  Json json;
  json.set("tags", std::move(tags));
  json.set("separator", separator(format));
  json.set("least", 1);
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
