#include "launcher/server/chat_prompt.h"

#include <algorithm>

#include "core/error.h"
#include "launcher/server/api_error.h"
#include "launcher/server/chat_message.h"
#include "launcher/server/tool_use.h"

namespace longship {

namespace {

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

// The tokens within those that the tokenizer puts around a text.
std::vector<int32_t> with_special(std::vector<int32_t> ids, const Tokenizer& tokenizer) {
  constexpr const char* kText = "a";
  const std::vector<int32_t> plain = tokenizer.encode(kText, {.add_special = false, .parse_special = false});
  const std::vector<int32_t> around = tokenizer.encode(kText, {.add_special = true, .parse_special = false});
  const auto text = std::search(around.begin(), around.end(), plain.begin(), plain.end());
  ids.insert(ids.begin(), around.begin(), text);
  if (text != around.end()) {
    ids.insert(ids.end(), text + std::ssize(plain), around.end());
  }
  return ids;
}

}  // namespace

// The messages for the template, what users wrote guarded.
Json::Array ChatPrompt::messages(const Fields& fields) const {
  const Json* messages = fields.find("messages");
  if (messages == nullptr || !messages->is_array() || messages->as_array().empty()) {
    fields.fail("messages", "must be an array of at least one message");
  }
  Json::Array guarded;
  for (std::size_t i = 0; i < messages->as_array().size(); ++i) {
    const std::string place = "messages[" + std::to_string(i) + "]";
    guarded.push_back(guard(template_message(messages->as_array()[i], place, model_.reply_format.tools)));
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

// What reasoning_effort and chat_template_kwargs give to the template. What a request says elsewhere cannot be said
// here.
Json ChatPrompt::template_variables(const Fields& fields) const {
  constexpr const char* kReserved[] = {
      "messages",  "tools",    "add_generation_prompt", "continue_final_message", "tokenize", "chat_template",
      "bos_token", "eos_token"};
  Json variables(Json::Object{});
  if (const auto effort = fields.text("reasoning_effort")) {
    variables.set("reasoning_effort", prompt_text_.guard(*effort));
    variables.set("enable_thinking", *effort != "none");  // what templates call it that only know whether to think
  }
  const Json* given = fields.find("chat_template_kwargs");
  if (given == nullptr) {
    return variables;
  }
  if (!given->is_object()) {
    fields.fail("chat_template_kwargs", "must be an object");
  }
  for (const char* name : kReserved) {
    if (given->find(name) != nullptr) {
      fields.fail("chat_template_kwargs", "must not have " + std::string(name));
    }
  }
  for (const auto& [name, value] : given->as_object()) {
    variables.set(prompt_text_.guard(name), guard(value));
  }
  return variables;
}

std::string ChatPrompt::begun_reply(const Fields& fields) const {
  const Json::Array& all = fields.find("messages")->as_array();
  const Fields last(all.back());
  return last.text("role") == "assistant" ? content_text(last, false) : std::string();
}

std::vector<int32_t> ChatPrompt::tokens(const Fields& fields) const {
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
  if (const ToolUse use = read_tool_use(fields); !use.tools.empty()) {
    variables.set("tools", guard(use.tools));
  }
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
  return fields.flag("add_special_tokens").value_or(false) ? with_special(std::move(ids), *model_.tokenizer) : ids;
}

}  // namespace longship
