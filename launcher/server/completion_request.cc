#include "launcher/server/completion_request.h"

#include <algorithm>
#include <charconv>
#include <random>

#include "core/error.h"
#include "launcher/server/api_error.h"
#include "launcher/server/fields.h"

namespace longship {

namespace {

// What one request may ask for.
constexpr int64_t kMostChoices = 16;
constexpr int64_t kMostPrompts = 64;
constexpr std::size_t kMostStops = 16;
constexpr std::size_t kMostBiases = 1024;
constexpr int64_t kMostTopLogprobs = 20;
constexpr int64_t kMostTokens = int64_t{1} << 40U;
constexpr double kMostPenalty = 1e4;

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

std::vector<std::pair<int32_t, float>> logit_bias(const Fields& fields, int64_t vocab) {
  const Json* object = fields.find("logit_bias");
  std::vector<std::pair<int32_t, float>> biases;
  if (object == nullptr) {
    return biases;
  }
  if (!object->is_object() || object->as_object().size() > kMostBiases) {
    fields.fail("logit_bias", "must be an object of at most " + std::to_string(kMostBiases) + " token ids");
  }
  for (const auto& [key, value] : object->as_object()) {
    int32_t token = -1;
    const auto read = std::from_chars(key.data(), key.data() + key.size(), token);
    if (read.ec != std::errc() || read.ptr != key.data() + key.size() || token < 0 || token >= vocab) {
      fields.fail("logit_bias", "has a key that is no token id of the vocabulary: \"" + key.substr(0, 40) + "\"");
    }
    if (!value.is_number() || !(value.as_double() >= -100 && value.as_double() <= 100)) {
      fields.fail("logit_bias", "must have numbers between -100 and 100");
    }
    biases.emplace_back(token, static_cast<float>(value.as_double()));
  }
  return biases;
}

uint64_t random_seed() {
  std::random_device random;
  return (uint64_t{random()} << 32U) | random();
}

SamplingParams sampling(const Fields& fields, int64_t vocab) {
  SamplingParams params;
  params.temperature = fields.number("temperature", 0, 100).value_or(1.0);
  params.top_p = fields.number("top_p", 0, 1).value_or(1.0);
  params.top_k = std::max<int64_t>(0, fields.integer("top_k", -1, int64_t{1} << 31U).value_or(0));
  params.min_p = fields.number("min_p", 0, 1).value_or(0.0);
  params.repetition_penalty = fields.number("repetition_penalty", 1e-3, kMostPenalty).value_or(1.0);
  params.presence_penalty = fields.number("presence_penalty", -2, 2).value_or(0.0);
  params.frequency_penalty = fields.number("frequency_penalty", -2, 2).value_or(0.0);
  params.logit_bias = logit_bias(fields, vocab);
  return params;
}

// How many logprobs the client wants of each token; -1: none.
int64_t logprobs(const Fields& fields, bool chat) {
  if (!chat) {
    return fields.integer("logprobs", 0, kMostTopLogprobs).value_or(-1);
  }
  const std::optional<int64_t> top = fields.integer("top_logprobs", 0, kMostTopLogprobs);
  const bool wanted = fields.flag("logprobs").value_or(false);
  if (top && *top > 0 && !wanted) {
    fields.fail("top_logprobs", "needs logprobs to be true");
  }
  return wanted ? top.value_or(0) : -1;
}

int64_t max_tokens(const Fields& fields, bool chat) {
  const std::optional<int64_t> limit = fields.integer("max_tokens", chat ? 1 : 0, kMostTokens);
  if (!chat) {
    constexpr int64_t kUsual = 16;
    return limit.value_or(kUsual);
  }
  return fields.integer("max_completion_tokens", 1, kMostTokens).value_or(limit.value_or(kMostTokens));
}

std::vector<int32_t> to_ids(const std::vector<int64_t>& numbers) {
  return {numbers.begin(), numbers.end()};
}

}  // namespace

CompletionParser::CompletionParser(const ModelText& model, const EngineInfo& info,
                                   std::vector<std::string> served_names)
    : model_(model), info_(info), served_names_(std::move(served_names)), prompt_text_(model.tokenizer) {}

CompletionRequest CompletionParser::parse(const Json& body, bool chat) const {
  check_model(body);
  const Fields fields(body);
  refuse_unsupported(body, fields);
  CompletionRequest request;
  request.chat = chat;
  GenerationRequest& generation = request.generation;
  generation.sampling = sampling(fields, info_.vocab);
  const std::optional<int64_t> seed = fields.integer("seed", INT64_MIN, INT64_MAX);
  request.seeded = seed.has_value();
  generation.sampling.seed = seed ? static_cast<uint64_t>(*seed) : random_seed();
  generation.max_tokens = max_tokens(fields, chat);
  generation.min_tokens = fields.integer("min_tokens", 0, kMostTokens).value_or(0);
  if (generation.min_tokens > generation.max_tokens) {
    fields.fail("min_tokens", "must not be above max_tokens");
  }
  generation.logprobs = logprobs(fields, chat);
  generation.stop_ids = to_ids(fields.integers("stop_token_ids", 0, info_.vocab - 1));
  if (!fields.flag("ignore_eos").value_or(false)) {
    generation.stop_ids.insert(generation.stop_ids.end(), model_.stop_ids.begin(), model_.stop_ids.end());
  }
  request.choices = fields.integer("n", 1, kMostChoices).value_or(1);
  if (fields.integer("best_of", 1, kMostChoices).value_or(request.choices) != request.choices) {
    fields.fail("best_of", "must be equal to n");
  }
  request.stops = fields.texts("stop", kMostStops);
  request.stream = fields.flag("stream").value_or(false);
  if (const Json* options = fields.find("stream_options"); options != nullptr) {
    if (!options->is_object()) {
      fields.fail("stream_options", "must be an object");
    }
    if (!request.stream) {
      fields.fail("stream_options", "needs stream to be true");
    }
    request.include_usage = Fields(*options, "stream_options.").flag("include_usage").value_or(false);
  }
  request.echo = fields.flag("echo").value_or(false);
  if (request.echo && generation.logprobs >= 0) {
    fields.fail("logprobs", "is not supported together with echo");
  }
  if (chat) {
    request.prompts.push_back(render(body));
  } else {
    request.prompts = prompts(body);
  }
  for (const CompletionRequest::Prompt& prompt : request.prompts) {
    const auto tokens = static_cast<int64_t>(prompt.ids.size());
    if (tokens + (generation.max_tokens > 0 ? 1 : 0) > info_.max_model_len) {
      throw ApiError{.status = 400,
                     .message = "the prompt has " + std::to_string(tokens) + " tokens, but this model's context is " +
                                std::to_string(info_.max_model_len) + " tokens with the answer",
                     .param = chat ? "messages" : "prompt",
                     .code = "context_length_exceeded"};
    }
  }
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
    result.push_back({to_ids(fields.integers("prompt", 0, info_.vocab - 1)), {}});
  } else if (value->is_array() && !value->as_array().empty() &&
             value->as_array().size() <= static_cast<std::size_t>(kMostPrompts)) {
    for (const Json& item : value->as_array()) {
      if (item.is_string()) {
        add_text(item.as_string());
        continue;
      }
      Json one;
      one.set("prompt", item);
      result.push_back({to_ids(Fields(one).integers("prompt", 0, info_.vocab - 1)), {}});
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

// Role and text of a message for the template, what users wrote guarded.
Json CompletionParser::message(const Json& message, const std::string& name) const {
  if (!message.is_object()) {
    throw ApiError{.status = 400, .message = name + " must be an object", .param = name};
  }
  const Fields fields(message, name + ".");
  const std::string role = fields.text("role").value_or("");
  constexpr const char* kRoles[] = {"system", "developer", "user", "assistant", "tool"};
  if (std::find(std::begin(kRoles), std::end(kRoles), role) == std::end(kRoles)) {
    fields.fail("role", "must be system, developer, user, assistant or tool");
  }
  const Json* content = fields.find("content");
  std::string text;
  if (content != nullptr && content->is_array()) {
    for (const Json& part : content->as_array()) {
      const Json* words = part.find("text");
      const Json* type = part.find("type");
      if (words == nullptr || !words->is_string() || (type != nullptr && *type != Json("text"))) {
        fields.fail("content", "may have parts of type text only");
      }
      text += (text.empty() ? "" : "\n") + words->as_string();
    }
  } else if (content != nullptr && content->is_string()) {
    text = content->as_string();
  } else if (content != nullptr || role != "assistant") {
    fields.fail("content", "must be a string or an array of parts");
  }
  Json result;
  result.set("role", role == "developer" ? "system" : role);
  result.set("content", prompt_text_.guard(text));
  return result;
}

CompletionRequest::Prompt CompletionParser::render(const Json& body) const {
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
  CompletionRequest::Prompt prompt;
  try {
    prompt_text_.encode(model_.render(guarded), prompt.ids);
  } catch (const Error& error) {
    throw ApiError{
        .status = 400, .message = "the chat template refuses the messages: " + error.cause(), .param = "messages"};
  }
  return prompt;
}

}  // namespace longship
