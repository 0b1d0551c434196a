#include "launcher/server/chat_prompt.h"

#include <algorithm>

#include "core/error.h"
#include "launcher/server/api_error.h"

namespace longship {

namespace {

// Text of a message: a string, or parts that are text.
std::string content_text(const Fields& fields, bool needed) {
  const Json* content = fields.find("content");
  if (content == nullptr && !needed) {
    return {};
  }
  if (content != nullptr && content->is_string()) {
    return content->as_string();
  }
  if (content == nullptr || !content->is_array()) {
    fields.fail("content", "must be a string or an array of parts");
  }
  std::string text;
  for (const Json& part : content->as_array()) {
    const Json* words = part.find("text");
    const Json* type = part.find("type");
    if (words == nullptr || !words->is_string() || (type != nullptr && *type != Json("text"))) {
      fields.fail("content", "may have parts of type text only");
    }
    text += (text.empty() ? "" : "\n") + words->as_string();
  }
  return text;
}

}  // namespace

// A message for the template, what users wrote guarded.
Json ChatPrompt::message(const Json& message, const std::string& name) const {
  if (!message.is_object()) {
    throw ApiError{.status = 400, .message = name + " must be an object", .param = name};
  }
  const Fields fields(message, name + ".");
  const std::string role = fields.text("role").value_or("");
  constexpr const char* kRoles[] = {"system", "developer", "user", "assistant", "tool"};
  if (std::find(std::begin(kRoles), std::end(kRoles), role) == std::end(kRoles)) {
    fields.fail("role", "must be system, developer, user, assistant or tool");
  }
  Json result;
  result.set("role", role == "developer" ? "system" : role);
  result.set("content", prompt_text_.guard(content_text(fields, role != "assistant")));
  return result;
}

std::vector<int32_t> ChatPrompt::tokens(const Json& body) const {
  const Fields fields(body);
  const Json* messages = fields.find("messages");
  if (messages == nullptr || !messages->is_array() || messages->as_array().empty()) {
    fields.fail("messages", "must be an array of at least one message");
  }
  if (!model_.render) {
    throw ApiError{.status = 400, .message = "this model has no chat template: use /v1/completions"};
  }
  Json::Array guarded;
  for (std::size_t i = 0; i < messages->as_array().size(); ++i) {
    guarded.push_back(message(messages->as_array()[i], "messages[" + std::to_string(i) + "]"));
  }
  Json variables;
  variables.set("messages", std::move(guarded));
  variables.set("add_generation_prompt", true);
  std::vector<int32_t> ids;
  try {
    prompt_text_.encode(model_.render(variables), ids);
  } catch (const Error& error) {
    throw ApiError{
        .status = 400, .message = "the chat template refuses the messages: " + error.cause(), .param = "messages"};
  }
  return ids;
}

}  // namespace longship
