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

// Text of a chat without what the template puts behind its last message. Templates may strip messages.
std::string up_to_end_of(std::string text, std::string message) {
  constexpr const char* kSpace = " \t\r\n";
  std::size_t begin = text.rfind(message);
  if (begin == std::string::npos) {
    message.erase(message.find_last_not_of(kSpace) + 1);
    message.erase(0, message.find_first_not_of(kSpace));
    begin = text.rfind(message);
  }
  if (begin == std::string::npos) {
    throw ApiError{.status = 400,
                   .message = "the chat template does not show the last message as it is, so it cannot be continued",
                   .param = "continue_final_message"};
  }
  text.resize(begin + message.size());
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

Json::Array ChatPrompt::messages(const Fields& fields) const {
  const Json* messages = fields.find("messages");
  if (messages == nullptr || !messages->is_array() || messages->as_array().empty()) {
    fields.fail("messages", "must be an array of at least one message");
  }
  Json::Array guarded;
  for (std::size_t i = 0; i < messages->as_array().size(); ++i) {
    guarded.push_back(message(messages->as_array()[i], "messages[" + std::to_string(i) + "]"));
  }
  return guarded;
}

// All texts in a value, guarded.
Json ChatPrompt::guard(const Json& value) const {
  if (value.is_string()) {
    return {prompt_text_.guard(value.as_string())};
  }
  if (value.is_array()) {
    Json::Array items;
    for (const Json& item : value.as_array()) {
      items.push_back(guard(item));
    }
    return {std::move(items)};
  }
  if (value.is_object()) {
    Json::Object members;
    for (const auto& [key, member] : value.as_object()) {
      members.emplace_back(prompt_text_.guard(key), guard(member));
    }
    return {std::move(members)};
  }
  return value;
}

// What chat_template_kwargs gives to the template. What a request says elsewhere cannot be said here.
Json ChatPrompt::template_variables(const Fields& fields) const {
  constexpr const char* kReserved[] = {
      "messages",  "tools",    "add_generation_prompt", "continue_final_message", "tokenize", "chat_template",
      "bos_token", "eos_token"};
  const Json* given = fields.find("chat_template_kwargs");
  if (given == nullptr) {
    return Json(Json::Object{});
  }
  if (!given->is_object()) {
    fields.fail("chat_template_kwargs", "must be an object");
  }
  for (const char* name : kReserved) {
    if (given->find(name) != nullptr) {
      fields.fail("chat_template_kwargs", "must not have " + std::string(name));
    }
  }
  return guard(*given);
}

std::string ChatPrompt::begun_reply(const Json& body) const {
  const Json::Array& all = body.find("messages")->as_array();
  const Fields last(all.back());
  return last.text("role") == "assistant" ? content_text(last, false) : std::string();
}

std::vector<int32_t> ChatPrompt::tokens(const Json& body) const {
  const Fields fields(body);
  Json::Array chat = messages(fields);
  if (!model_.render) {
    throw ApiError{.status = 400, .message = "this model has no chat template: use /v1/completions"};
  }
  const bool goes_on = fields.flag("continue_final_message").value_or(false);
  const bool begins = fields.flag("add_generation_prompt").value_or(!goes_on);
  if (goes_on && begins) {
    fields.fail("continue_final_message", "cannot stand beside add_generation_prompt");
  }
  const std::string last = chat.back().find("content")->as_string();
  Json variables = template_variables(fields);
  variables.set("messages", std::move(chat));
  variables.set("add_generation_prompt", begins);
  std::vector<int32_t> ids;
  try {
    std::string text = model_.render(variables);
    if (goes_on) {
      text = up_to_end_of(std::move(text), last);
    }
    prompt_text_.encode(text, ids);
  } catch (const Error& error) {
    throw ApiError{
        .status = 400, .message = "the chat template refuses the messages: " + error.cause(), .param = "messages"};
  }
  return ids;
}

}  // namespace longship
