#include "launcher/server/completion_request.h"

#include <algorithm>

#include "core/error.h"
#include "launcher/server/api_error.h"
#include "launcher/server/fields.h"
#include "launcher/server/generation_fields.h"

namespace longship {

namespace {

// What one request may ask for.
constexpr int64_t kMostChoices = 16;
constexpr int64_t kMostPrompts = 64;
constexpr std::size_t kMostStops = 16;

// Members that change what is generated in ways that this server has not.
constexpr const char* kUnsupported[] = {"tools",           "functions",      "suffix",
                                        "prompt_logprobs", "guided_json",    "guided_regex",
                                        "guided_choice",   "guided_grammar", "structured_outputs",
                                        "grammar",         "json_schema"};

void refuse_unsupported(const Json& body, const Fields& fields) {
  for (const char* key : kUnsupported) {
    const Json* value = fields.find(key);
    const bool empty = value != nullptr && value->is_array() && value->as_array().empty();
    if (value != nullptr && !empty) {
      fields.fail(key, "is not supported");
    }
  }
  if (const Json* format = body.find("response_format"); format != nullptr && format->is_object()) {
    if (Fields(*format, "response_format.").text("type").value_or("text") != "text") {
      fields.fail("response_format", "is not supported but for text");
    }
  }
}

void read_stream(const Fields& fields, CompletionRequest& request) {
  request.stream = fields.flag("stream").value_or(false);
  const Json* options = fields.find("stream_options");
  if (options == nullptr) {
    return;
  }
  if (!options->is_object()) {
    fields.fail("stream_options", "must be an object");
  }
  if (!request.stream) {
    fields.fail("stream_options", "needs stream to be true");
  }
  request.include_usage = Fields(*options, "stream_options.").flag("include_usage").value_or(false);
}

}  // namespace

CompletionParser::CompletionParser(const ModelText& model, const EngineInfo& info,
                                   std::vector<std::string> served_names)
    : model_(model), info_(info), served_names_(std::move(served_names)), chat_prompt_(model) {}

CompletionRequest CompletionParser::parse(const Json& body, bool chat) const {
  check_model(body);
  const Fields fields(body);
  refuse_unsupported(body, fields);
  CompletionRequest request;
  request.chat = chat;
  request.generation = read_generation(fields, chat, info_.vocab, model_.stop_ids);
  request.choices = fields.integer("n", 1, kMostChoices).value_or(1);
  if (fields.integer("best_of", 1, kMostChoices).value_or(request.choices) != request.choices) {
    fields.fail("best_of", "must be equal to n");
  }
  request.stops = fields.texts("stop", kMostStops);
  read_stream(fields, request);
  request.echo = fields.flag("echo").value_or(false);
  if (request.echo && request.generation.logprobs >= 0) {
    fields.fail("logprobs", "is not supported together with echo");
  }
  if (chat) {
    request.prompts.push_back({chat_prompt_.tokens(body), {}});
  } else {
    request.prompts = prompts(body);
  }
  check_length(request);
  return request;
}

void CompletionParser::check_model(const Json& body) const {
  const std::optional<std::string> model = Fields(body).text("model");
  if (model && std::find(served_names_.begin(), served_names_.end(), *model) == served_names_.end()) {
    throw ApiError{.status = 404,
                   .message = "the model \"" + model->substr(0, 200) + "\" does not exist here; this server has \"" +
                              served_names_.front() + "\"",
                   .param = "model",
                   .code = "model_not_found"};
  }
}

void CompletionParser::check_length(const CompletionRequest& request) const {
  for (const CompletionRequest::Prompt& prompt : request.prompts) {
    const auto tokens = static_cast<int64_t>(prompt.ids.size());
    if (tokens + (request.generation.max_tokens > 0 ? 1 : 0) > info_.max_model_len) {
      throw ApiError{.status = 400,
                     .message = "the prompt has " + std::to_string(tokens) + " tokens, but this model's context is " +
                                std::to_string(info_.max_model_len) + " tokens with the answer",
                     .param = request.chat ? "messages" : "prompt",
                     .code = "context_length_exceeded"};
    }
  }
}

std::vector<int32_t> CompletionParser::encode(const std::string& text, bool add_special) const {
  try {
    return model_.tokenizer->encode(text, {.add_special = add_special, .parse_special = false});
  } catch (const Error& error) {
    throw ApiError{.status = 400, .message = error.cause(), .param = "prompt"};
  }
}

// A string, an array of strings, an array of token ids, or an array of those.
std::vector<CompletionRequest::Prompt> CompletionParser::prompts(const Json& body) const {
  const Fields fields(body);
  const Json* value = fields.find("prompt");
  if (value == nullptr) {
    fields.fail("prompt", "is missing");
  }
  std::vector<CompletionRequest::Prompt> result;
  const auto add_text = [&](const std::string& text) { result.push_back({encode(text, true), text}); };
  if (value->is_string()) {
    add_text(value->as_string());
  } else if (value->is_array() && !value->as_array().empty() && value->as_array().front().is_int()) {
    result.push_back({fields.ids("prompt", info_.vocab), {}});
  } else if (value->is_array() && !value->as_array().empty() &&
             value->as_array().size() <= static_cast<std::size_t>(kMostPrompts)) {
    for (const Json& item : value->as_array()) {
      if (item.is_string()) {
        add_text(item.as_string());
        continue;
      }
      Json one;
      one.set("prompt", item);
      result.push_back({Fields(one).ids("prompt", info_.vocab), {}});
    }
  } else {
    fields.fail("prompt", "must be a string, an array of token ids, or an array of at most " +
                              std::to_string(kMostPrompts) + " of those");
  }
  for (const CompletionRequest::Prompt& prompt : result) {
    if (prompt.ids.empty()) {
      fields.fail("prompt", "must not be empty");
    }
  }
  return result;
}

}  // namespace longship
