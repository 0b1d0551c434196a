#include "launcher/server/chat_message.h"

#include <algorithm>
#include <variant>

#include "launcher/server/api_error.h"

namespace longship {

namespace {

constexpr std::size_t kMostCalls = 128;
constexpr std::size_t kMostRoleBytes = 64;

// Templates take arguments as an object; clients send its text. What is no object stays a text.
Json arguments_object(const Json& arguments) {
  if (!arguments.is_string()) {
    return arguments;
  }
  if (arguments.as_string().empty()) {
    return Json(Json::Object{});
  }
  auto parsed = parse_json(arguments.as_string(), {.unique_keys = false});
  const Json* object = std::get_if<Json>(&parsed);
  return object != nullptr && object->is_object() ? *object : arguments;
}

// An id of a call as the model's template takes it: those of Mistral have nine letters and digits, so of other ids the
// last ones count.
std::string template_id(const std::string& id, ToolFormat format) {
  if (format != ToolFormat::kMistral) {
    return id;
  }
  constexpr std::size_t kLength = 9;
  std::string result;
  std::copy_if(id.begin(), id.end(), std::back_inserter(result),
               [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); });
  return result.size() > kLength ? result.substr(result.size() - kLength)
                                 : std::string(kLength - result.size(), '0') + result;
}

Json template_call(const Json& call, const std::string& place, ToolFormat format) {
  const Fields fields(call, place + ".");
  const Json* function = fields.find("function");
  if (function == nullptr || !function->is_object()) {
    fields.fail("function", "must be an object");
  }
  const Fields inner(*function, place + ".function.");
  if (inner.text("name").value_or("").empty()) {
    inner.fail("name", "is missing");
  }
  const Json* arguments = inner.find("arguments");
  if (arguments != nullptr && !arguments->is_string() && !arguments->is_object()) {
    inner.fail("arguments", "must be a string of JSON");
  }
  Json result = call;
  if (const auto id = fields.text("id")) {
    result.set("id", template_id(*id, format));
  }
  Json taken = *function;
  taken.set("arguments", arguments == nullptr ? Json(Json::Object{}) : arguments_object(*arguments));
  result.set("function", std::move(taken));
  return result;
}

// The calls that an assistant's message makes; none: nothing is set.
void add_calls(const Fields& fields, const std::string& place, ToolFormat format, Json& result) {
  if (fields.find("function_call") != nullptr) {
    fields.fail("function_call", "is not supported: use tool_calls");
  }
  const Json* calls = fields.find("tool_calls");
  if (calls == nullptr) {
    return;
  }
  if (!calls->is_array() || calls->as_array().size() > kMostCalls) {
    fields.fail("tool_calls", "must be an array of at most " + std::to_string(kMostCalls) + " calls");
  }
  Json::Array taken;
  for (std::size_t i = 0; i < calls->as_array().size(); ++i) {
    taken.push_back(template_call(calls->as_array()[i], place + ".tool_calls[" + std::to_string(i) + "]", format));
  }
  if (!taken.empty()) {
    result.set("tool_calls", std::move(taken));
  }
}

}  // namespace

std::string content_text(const Fields& message, bool needed) {
  const Json* content = message.find("content");
  if (content == nullptr && !needed) {
    return {};
  }
  if (content != nullptr && content->is_string()) {
    return content->as_string();
  }
  if (content == nullptr || !content->is_array()) {
    message.fail("content", "must be a string or an array of parts");
  }
  std::string text;
  for (const Json& part : content->as_array()) {
    const Json* words = part.find("text");
    const Json* type = part.find("type");
    if (words == nullptr || !words->is_string() || (type != nullptr && *type != Json("text"))) {
      message.fail("content", "may have parts of type text only");
    }
    text += (text.empty() ? "" : "\n") + words->as_string();
  }
  return text;
}

Json template_message(const Json& message, const std::string& place, ToolFormat format) {
  if (!message.is_object()) {
    throw ApiError{.status = 400, .message = place + " must be an object", .param = place};
  }
  const Fields fields(message, place + ".");
  const std::string role = fields.text("role").value_or("");
  if (role.empty() || role.size() > kMostRoleBytes) {  // templates may know more than those of the OpenAI API
    fields.fail("role", "must be system, developer, user, assistant, tool or another name that the template knows");
  }
  Json result;
  result.set("role", role == "developer" ? "system" : role);
  result.set("content", content_text(fields, role != "assistant"));
  if (const auto name = fields.text("name")) {
    result.set("name", *name);
  }
  if (role == "assistant") {
    if (const auto reasoning = fields.text("reasoning_content")) {
      result.set("reasoning_content", *reasoning);
    }
    add_calls(fields, place, format, result);
  }
  if (const auto id = fields.text("tool_call_id"); id && role == "tool") {
    result.set("tool_call_id", template_id(*id, format));
  }
  return result;
}

}  // namespace longship
