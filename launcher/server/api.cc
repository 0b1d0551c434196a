#include "launcher/server/api.h"

#include <algorithm>
#include <ctime>
#include <iostream>

#include "core/error.h"
#include "launcher/server/api_error.h"
#include "launcher/server/fields.h"

namespace longship {

namespace {

HttpResponse ok(const Json& body) {
  return {.status = 200, .body = dump_json(body)};
}

// Takes the same time wherever they differ.
bool same_secret(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b.empty() ? 0 : b[i % b.size()]);
  }
  return difference == 0;
}

// Members that are known, used or not.
const std::set<std::string>& known_keys() {
  static const std::set<std::string> kKeys = {"model",
                                              "messages",
                                              "prompt",
                                              "temperature",
                                              "top_p",
                                              "top_k",
                                              "min_p",
                                              "repetition_penalty",
                                              "presence_penalty",
                                              "frequency_penalty",
                                              "logit_bias",
                                              "seed",
                                              "max_tokens",
                                              "max_completion_tokens",
                                              "min_tokens",
                                              "logprobs",
                                              "top_logprobs",
                                              "stop",
                                              "stop_token_ids",
                                              "ignore_eos",
                                              "n",
                                              "best_of",
                                              "stream",
                                              "stream_options",
                                              "echo",
                                              "response_format",
                                              "tools",
                                              "tool_choice",
                                              "parallel_tool_calls",
                                              "functions",
                                              "suffix",
                                              "user",
                                              "metadata",
                                              "service_tier",
                                              "store",
                                              "add_special_tokens",
                                              "tokens"};
  return kKeys;
}

}  // namespace

Api::Api(ApiOptions options, std::shared_ptr<const ModelText> model)
    : options_(std::move(options)), model_(std::move(model)), created_(std::time(nullptr)) {}

void Api::attach(Engine& engine) {
  info_ = engine.info();
  hub_ = std::make_unique<EngineHub>(engine);
  parser_ = std::make_unique<CompletionParser>(*model_, info_, options_.served_names);
  context_ = std::make_unique<CompletionContext>(
      CompletionContext{*hub_, metrics_, model_->tokenizer, options_.served_names.front()});
}

const std::map<std::string, Api::Route>& Api::routes() {
  static const std::map<std::string, Route> kRoutes = {
      {"/health", {"GET", &Api::health, true}},
      {"/live", {"GET", &Api::live, true}},
      {"/version", {"GET", &Api::version}},
      {"/metrics", {"GET", &Api::metrics_text}},
      {"/v1/models", {"GET", &Api::models}},
      {"/tokenize", {"POST", &Api::tokenize}},
      {"/detokenize", {"POST", &Api::detokenize}},
      {"/v1/completions", {"POST", &Api::completions}},
      {"/v1/chat/completions", {"POST", &Api::chat_completions}},
  };
  return kRoutes;
}

void Api::handle(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange) {
  try {
    dispatch(request, exchange);
  } catch (const ApiError& error) {
    exchange->respond(error.response());
  } catch (const std::exception& error) {
    exchange->respond(ApiError{.status = 500, .message = error.what()}.response());
  }
}

void Api::dispatch(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange) {
  const auto found = routes().find(request.path);
  if (found == routes().end() || !found->second.open) {
    require_key(request);
  }
  if (found == routes().end()) {
    throw ApiError{.status = 404, .message = "there is no " + request.path.substr(0, 200) + " here"};
  }
  const Route& route = found->second;
  const bool head = request.method == "HEAD" && std::string_view(route.method) == "GET";
  if (request.method != route.method && !head) {
    throw ApiError{.status = 405, .message = request.path + " takes " + route.method + " only"};
  }
  (this->*route.action)(request, exchange);
}

void Api::require_key(const HttpRequest& request) const {
  if (options_.api_keys.empty()) {
    return;
  }
  constexpr std::string_view kBearer = "Bearer ";
  const std::string_view header = request.header("authorization");
  const std::string_view given = header.starts_with(kBearer) ? header.substr(kBearer.size()) : std::string_view();
  bool known = false;
  for (const std::string& key : options_.api_keys) {
    known = same_secret(given, key) || known;
  }
  if (!known) {
    throw ApiError{
        .status = 401,
        .message = given.empty() ? "an API key is needed: Authorization: Bearer KEY" : "the API key is wrong",
        .code = "invalid_api_key"};
  }
}

void Api::require_engine() const {
  if (draining_) {
    throw ApiError{.status = 503, .message = "the server is shutting down", .retry_after_s = 5};
  }
  if (hub_ == nullptr) {
    throw ApiError{.status = 503, .message = "the model is loading", .retry_after_s = 1};
  }
}

Json Api::body_of(const HttpRequest& request) {
  auto parsed = parse_json(request.body, {.max_depth = 64, .unique_keys = false});
  if (const auto* error = std::get_if<JsonError>(&parsed)) {
    throw ApiError{.status = 400,
                   .message = "the body is not JSON: offset " + std::to_string(error->offset) + ": " + error->rule};
  }
  Json body = std::get<Json>(std::move(parsed));
  if (!body.is_object()) {
    throw ApiError{.status = 400, .message = "the body must be a JSON object"};
  }
  warn_of_unknown(body);
  return body;
}

void Api::warn_of_unknown(const Json& body) {
  constexpr std::size_t kMostWarnings = 100;
  for (const auto& [key, value] : body.as_object()) {
    if (!known_keys().contains(key) && unknown_keys_.size() < kMostWarnings && unknown_keys_.insert(key).second) {
      std::cerr << "longship: requests have a field that is ignored: " + dump_json(key.substr(0, 80)) + "\n";
    }
  }
}

void Api::health(const HttpRequest&, const std::shared_ptr<HttpExchange>& exchange) {
  require_engine();
  if (!hub_->ready()) {
    throw ApiError{.status = 503, .message = "ranks were lost and are started again", .retry_after_s = 1};
  }
  Json body;
  body.set("status", "ok");
  exchange->respond(ok(body));
}

void Api::live(const HttpRequest&, const std::shared_ptr<HttpExchange>& exchange) {
  Json body;
  body.set("status", "ok");
  exchange->respond(ok(body));
}

void Api::version(const HttpRequest&, const std::shared_ptr<HttpExchange>& exchange) {
  Json body;
  body.set("version", options_.version);
  exchange->respond(ok(body));
}

void Api::models(const HttpRequest&, const std::shared_ptr<HttpExchange>& exchange) {
  require_engine();
  Json::Array data;
  for (const std::string& name : options_.served_names) {
    Json model;
    model.set("id", name);
    model.set("object", "model");
    model.set("created", created_);
    model.set("owned_by", "longship");
    model.set("max_model_len", info_.max_model_len);
    data.push_back(std::move(model));
  }
  Json body;
  body.set("object", "list");
  body.set("data", std::move(data));
  exchange->respond(ok(body));
}

void Api::metrics_text(const HttpRequest&, const std::shared_ptr<HttpExchange>& exchange) {
  const EngineCounters counters = hub_ == nullptr ? EngineCounters{} : hub_->counters();
  exchange->respond({.status = 200,
                     .body = metrics_.text(counters, info_.kv_tokens, options_.served_names.front()),
                     .content_type = "text/plain; version=0.0.4; charset=utf-8"});
}

void Api::tokenize(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange) {
  require_engine();
  const Json body = body_of(request);
  const Fields fields(body);
  std::vector<int32_t> ids;
  if (body.find("messages") != nullptr) {
    ids = parser_->chat_prompt().tokens(body);
  } else {
    const std::optional<std::string> text = fields.text("prompt");
    if (!text) {
      fields.fail("prompt", "is missing");
    }
    ids = parser_->encode(*text, fields.flag("add_special_tokens").value_or(true));
  }
  Json answer;
  answer.set("count", static_cast<int64_t>(ids.size()));
  answer.set("max_model_len", info_.max_model_len);
  Json::Array tokens;
  for (const int32_t id : ids) {
    tokens.emplace_back(id);
  }
  answer.set("tokens", std::move(tokens));
  exchange->respond(ok(answer));
}

void Api::detokenize(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange) {
  require_engine();
  const Json body = body_of(request);
  Json answer;
  answer.set("prompt", model_->tokenizer->decode(Fields(body).ids("tokens", info_.vocab), false));
  exchange->respond(ok(answer));
}

void Api::completions(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange) {
  complete(request, exchange, false);
}

void Api::chat_completions(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange) {
  complete(request, exchange, true);
}

void Api::complete(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange, bool chat) {
  require_engine();
  const EngineCounters& counters = hub_->counters();
  if (counters.waiting + counters.running >= options_.most_requests) {
    throw ApiError{.status = 429, .message = "the queue is full", .code = "queue_full", .retry_after_s = 1};
  }
  std::make_shared<Completion>(*context_, parser_->parse(body_of(request), chat), exchange)->start();
}

}  // namespace longship
