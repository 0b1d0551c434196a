#include "launcher/server/completion_request.h"

#include <algorithm>
#include <span>

#include "core/error.h"
#include "launcher/server/api_error.h"
#include "launcher/server/call_grammar.h"
#include "launcher/server/fields.h"
#include "launcher/server/generation_fields.h"
#include "launcher/server/grammar_fields.h"

namespace longship {

namespace {

// What one request may ask for.
constexpr int64_t kMostChoices = 128;  // of each prompt, as in the OpenAI API
constexpr std::size_t kMostPrompts = 1024;
constexpr std::size_t kMostAnswers = 1024;  // to all prompts
constexpr std::size_t kMostStops = 16;

// Members that change what is generated in ways that this server has not.
constexpr const char* kUnsupported[] = {"suffix", "chat_template", "use_beam_search"};

// The model's and those of its first adapters.
std::string quoted_names(const std::string& model, std::span<const std::string> adapters) {
  constexpr std::size_t kMostNamed = 8;
  std::string text = "\"" + model + "\"";
  for (const std::string& adapter : adapters.first(std::min(adapters.size(), kMostNamed))) {
    text.append(", \"").append(adapter).append("\"");
  }
  return adapters.size() > kMostNamed ? text + ", ..." : text;
}

void refuse_unsupported(const Fields& fields) {
  for (const char* key : kUnsupported) {
    const Json* value = fields.find(key);
    if (value != nullptr && *value != Json(Json::Array{}) && *value != Json(false)) {
      fields.fail(key, "is not supported");
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
  if (!request.stream && !options->as_object().empty()) {
    fields.fail("stream_options", "needs stream to be true");
  }
  const Fields wanted(*options, "stream_options.");
  request.include_usage = wanted.flag("include_usage").value_or(false);
  request.continuous_usage = wanted.flag("continuous_usage_stats").value_or(false);
}

void read_choices(const Fields& fields, CompletionRequest& request) {
  const int64_t choices = fields.integer("n", 1, kMostChoices).value_or(1);
  const int64_t candidates = fields.integer("best_of", 1, kMostChoices).value_or(choices);
  if (candidates < choices) {
    fields.fail("best_of", "must not be below n");
  }
  if (candidates > choices && request.stream) {
    fields.fail("best_of", "cannot be above n in a stream");
  }
  request.choices = static_cast<std::size_t>(choices);
  request.candidates = static_cast<std::size_t>(candidates);
  if (candidates > choices) {  // the engine tells what they are chosen by
    request.generation.logprobs = std::max<int64_t>(0, request.generation.logprobs);
  }
}

void read_text_rules(const Fields& fields, CompletionRequest& request) {
  request.text = {.stops = fields.texts("stop", kMostStops),
                  .show_stop = fields.flag("include_stop_str_in_output").value_or(false),
                  .skip_special = fields.flag("skip_special_tokens").value_or(true),
                  .min_tokens = request.generation.min_tokens,
                  .keep_rows = request.generation.logprobs >= 0};
  request.tokens_as_ids = fields.flag("return_tokens_as_token_ids").value_or(false);
  request.token_ids = fields.flag("return_token_ids").value_or(false);
}

}  // namespace

CompletionParser::CompletionParser(const ModelText& model, const EngineInfo& info,
                                   std::vector<std::string> served_names, std::optional<uint64_t> seed,
                                   std::vector<std::string> adapters)
    : model_(model),
      info_(info),
      served_names_(std::move(served_names)),
      adapters_(std::move(adapters)),
      seed_(seed),
      chat_prompt_(model) {}

CompletionRequest CompletionParser::parse(const Fields& fields, bool chat) const {
  const int32_t adapter = adapter_of(fields);
  refuse_unsupported(fields);
  CompletionRequest request;
  request.chat = chat;
  request.generation = read_generation(fields, chat, info_.vocab, model_);
  request.generation.adapter = adapter;
  request.model = adapter == 0 ? std::string() : adapters_[static_cast<std::size_t>(adapter - 1)];
  if (seed_ && !fields.integer("seed", INT64_MIN, INT64_MAX)) {
    request.generation.sampling.seed = *seed_;
  }
  request.generation.grammar = grammar_of(fields);
  request.stop_token_ids = fields.ids("stop_token_ids", info_.vocab);
  read_text_rules(fields, request);
  read_stream(fields, request);
  read_choices(fields, request);
  request.echo = fields.flag("echo").value_or(false);
  read_prompt_logprobs(fields, request);
  if (chat) {
    read_reply(fields, request);
    request.prompts.push_back(
        {chat_prompt_.tokens(fields), request.echo ? chat_prompt_.begun_reply(fields) : "", false});
  } else {
    request.prompts = prompts(fields);
  }
  if (request.prompts.size() * request.candidates > kMostAnswers) {
    fields.fail(request.candidates > request.choices ? "best_of" : "n",
                "asks for more than " + std::to_string(kMostAnswers) + " answers to all prompts together");
  }
  truncate(fields, request);
  check_length(request);
  if (chat) {
    read_reasoning(request);
  }
  return request;
}

// How the reply of a chat is read.
void CompletionParser::read_reply(const Fields& fields, CompletionRequest& request) const {
  ToolUse use = read_tool_use(fields);
  request.tool_choice = use.choice;
  const bool calls = use.choice != ToolUse::Choice::kNone;
  const bool must_call = use.choice == ToolUse::Choice::kRequired || use.choice == ToolUse::Choice::kNamed;
  request.reply.format = {.tools = calls ? model_.reply_format.tools : ToolFormat::kNone,
                          .reasoning = model_.reply_format.reasoning};
  if (calls && request.reply.format.tools == ToolFormat::kNone) {
    if (!must_call) {
      fields.fail(
          "tools",
          "can only be used with tool_choice required or a function: the model's chat template has no calls of a "
          "known format; --tool-call-parser names one");
    }
    request.reply.format.tools = ToolFormat::kHermes;  // the grammar has the model write it
  }
  std::vector<std::string> special;  // marks that are tokens to which no text leads
  for (const std::string_view mark : marks_of(request.reply.format)) {
    if (const std::optional<int32_t> id = model_.tokenizer->find(mark)) {
      request.text.shown_special.push_back(*id);
      if (model_.tokenizer->is_special(*id)) special.emplace_back(mark);
    }
  }
  if (GrammarSpec forced = call_grammar(use, request.reply.format, special); forced.kind != GrammarSpec::Kind::kNone) {
    if (request.generation.grammar.kind != GrammarSpec::Kind::kNone) {
      fields.fail("tool_choice", "has calls held to their schemas, and a grammar is there as well");
    }
    request.generation.grammar = std::move(forced);
  }
  request.reply.functions = std::move(use.functions);
  request.reply.parallel = use.parallel;
  request.reply.only_calls = must_call;
}

// Where the model may think before it answers, or before what a grammar holds.
void CompletionParser::read_reasoning(CompletionRequest& request) const {
  const ReasoningMarks marks = reasoning_marks(request.reply.format.reasoning);
  if (marks.close.empty()) {
    return;
  }
  const std::vector<int32_t>& prompt = request.prompts[0].ids;
  const auto bytes_of = [&](std::string_view mark) {
    const std::optional<int32_t> id = model_.tokenizer->find(mark);
    return id && model_.tokenizer->is_special(*id) ? special_bytes(mark) : std::string(mark);
  };
  const GrammarSpec::Kind grammar = request.generation.grammar.kind;
  const bool whole = grammar == GrammarSpec::Kind::kGbnf;  // says what all of a reply is, as in llama.cpp
  request.reply.reasoning_open = !whole && ends_with_mark(prompt, marks.open);
  if (!whole && grammar != GrammarSpec::Kind::kNone && !ends_with_mark(prompt, marks.close)) {
    request.generation.grammar.reasoning = {.open = request.reply.reasoning_open ? "" : bytes_of(marks.open),
                                            .close = bytes_of(marks.close)};
  }
}

// Whether a prompt ends with this mark, but for white space.
bool CompletionParser::ends_with_mark(const std::vector<int32_t>& prompt, std::string_view mark) const {
  constexpr std::size_t kMostTokens = 16;
  const std::span<const int32_t> ids(prompt);
  std::string text = model_.tokenizer->decode(ids.last(std::min(ids.size(), kMostTokens)), false);
  text.erase(text.find_last_not_of(" \n") + 1);
  return !mark.empty() && text.ends_with(mark);
}

void CompletionParser::read_prompt_logprobs(const Fields& fields, CompletionRequest& request) const {
  const std::optional<int64_t> wanted = fields.integer("prompt_logprobs", 0, kMostTopLogprobs);
  if (wanted && request.stream) {
    fields.fail("prompt_logprobs", "are not told in a stream");
  }
  request.prompt_logprobs = wanted.has_value();
  request.generation.prompt_logprobs =
      std::max(wanted.value_or(-1), request.echo_logprobs() ? request.generation.logprobs : -1);
}

int32_t CompletionParser::adapter_named(const std::string& model) const {
  if (std::find(served_names_.begin(), served_names_.end(), model) != served_names_.end()) {
    return 0;
  }
  const auto adapter = std::find(adapters_.begin(), adapters_.end(), model);
  if (adapter == adapters_.end()) {
    throw ApiError{.status = 404,
                   .message = "the model \"" + model.substr(0, 200) + "\" does not exist here; this server has " +
                              quoted_names(served_names_.front(), adapters_),
                   .param = "model",
                   .code = "model_not_found"};
  }
  return static_cast<int32_t>(adapter - adapters_.begin()) + 1;
}

int32_t CompletionParser::adapter_of(const Fields& fields) const {
  const std::string model = fields.text("model").value_or("");
  return model.empty() ? 0 : adapter_named(model);
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
std::vector<CompletionRequest::Prompt> CompletionParser::prompts(const Fields& fields) const {
  const Json* value = fields.find("prompt");
  if (value == nullptr) {
    fields.fail("prompt", "is missing");
  }
  const bool add_special = fields.flag("add_special_tokens").value_or(true);
  const bool one =
      value->is_string() || (value->is_array() && !value->as_array().empty() && value->as_array().front().is_number());
  const Json::Array items = one ? Json::Array{*value} : value->is_array() ? value->as_array() : Json::Array{};
  if (items.empty() || items.size() > kMostPrompts) {
    fields.fail("prompt", "must be a string, an array of token ids, or an array of at most " +
                              std::to_string(kMostPrompts) + " of those");
  }
  std::vector<CompletionRequest::Prompt> result;
  for (const Json& item : items) {
    Json single;
    single.set("prompt", item);
    std::vector<int32_t> ids =
        item.is_string() ? encode(item.as_string(), add_special) : Fields(single).ids("prompt", info_.vocab);
    if (ids.empty()) {
      fields.fail("prompt", "must not be empty");
    }
    std::string text = item.is_string() ? item.as_string() : model_.tokenizer->decode(ids, false);
    result.push_back({std::move(ids), std::move(text), !item.is_string()});
  }
  return result;
}

// Cuts prompts down to so many tokens, from their end or their beginning; -1: to what the context has room for.
void CompletionParser::truncate(const Fields& fields, CompletionRequest& request) const {
  const std::optional<int64_t> wanted = fields.integer("truncate_prompt_tokens", -1, info_.max_model_len);
  const std::string side = fields.text("truncation_side").value_or("left");
  if (side != "left" && side != "right") {
    fields.fail("truncation_side", "must be left or right");
  }
  if (!wanted) {
    return;
  }
  if (*wanted == 0) {
    fields.fail("truncate_prompt_tokens", "must be at least 1, or -1");
  }
  const int64_t room = info_.max_model_len - std::clamp<int64_t>(request.generation.max_tokens, 0, 1);
  const int64_t most = *wanted == -1 ? room : *wanted;
  for (CompletionRequest::Prompt& prompt : request.prompts) {
    const int64_t surplus = std::ssize(prompt.ids) - most;
    if (surplus > 0) {
      const auto first = side == "left" ? prompt.ids.begin() : prompt.ids.end() - surplus;
      prompt.ids.erase(first, first + surplus);
      prompt.text = request.chat ? prompt.text : model_.tokenizer->decode(prompt.ids, !prompt.shows_special);
    }
  }
}

}  // namespace longship
