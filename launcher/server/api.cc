#include "launcher/server/api.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <ctime>

#include "core/error.h"
#include "engine/backend/kernels.h"
#include "launcher/server/api_error.h"
#include "launcher/server/http/web_page.h"
#include "launcher/server/token_routes.h"

namespace longship {

namespace {

HttpResponse ok(const Json& body) {
  return {.status = 200, .body = dump_json(body)};
}

// Requests of one address with one key are one client's.
uint64_t client_of(const HttpRequest& request) {
  return std::hash<std::string>()(request.address + ' ' + std::string(request.header("authorization")));
}

// A path's escapes as the bytes that they stand for; what is no escape stays.
std::string unescaped(std::string_view path) {
  std::string result;
  for (std::size_t i = 0; i < path.size(); ++i) {
    unsigned value = 0;
    const char* hex = path.data() + i + 1;
    if (path[i] == '%' && i + 2 < path.size() && std::from_chars(hex, hex + 2, value, 16).ptr == hex + 2) {
      result += static_cast<char>(value);
      i += 2;
    } else {
      result += path[i];
    }
  }
  return result;
}

// Nothing is JSON for those who say nothing. A web page of another site can send text or forms without being asked
// whether it may, so these are refused.
bool is_json_type(std::string_view content_type) {
  const std::string_view type = content_type.substr(0, content_type.find(';'));
  const std::size_t end = type.find_last_not_of(' ');
  std::string name(type.substr(0, end == std::string_view::npos ? 0 : end + 1));
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  return content_type.empty() || name == "application/json" || name.ends_with("+json");
}

Json body_of(const HttpRequest& request) {
  if (!is_json_type(request.header("content-type"))) {
    throw ApiError{.status = 415, .message = "the body must be JSON: Content-Type: application/json"};
  }
  // Some programs begin every text with a byte order mark.
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  std::string_view text = request.body;
  text.remove_prefix(text.starts_with(kMark) ? kMark.size() : 0);
  auto parsed = parse_json(text, {.max_depth = 64, .unique_keys = true});
  if (const auto* error = std::get_if<JsonError>(&parsed)) {
    throw ApiError{.status = 400,
                   .message = "the body is not JSON: offset " + std::to_string(error->offset) + ": " + error->rule};
  }
  Json body = std::get<Json>(std::move(parsed));
  if (!body.is_object()) {
    throw ApiError{.status = 400, .message = "the body must be a JSON object"};
  }
  return body;
}

// A body of this size takes milliseconds to read.
constexpr std::size_t kLargeBody = std::size_t{64} << 10U;
// For a body, until its turn comes.
constexpr std::chrono::seconds kMostReadingWait(30);

ApiError too_busy() {
  return {.status = 503, .message = "too many requests are being read", .retry_after_s = 1};
}

std::vector<std::string> adapter_names(const std::vector<AdapterOption>& adapters) {
  std::vector<std::string> names;
  for (const AdapterOption& adapter : adapters) {
    names.push_back(adapter.name);
  }
  return names;
}

std::function<void(const std::shared_ptr<HttpExchange>&)> answer_with(HttpResponse response) {
  return
      [response = std::move(response)](const std::shared_ptr<HttpExchange>& exchange) { exchange->respond(response); };
}

// The answer of work that failed.
std::optional<HttpResponse> failure_of(const std::function<void()>& work) {
  try {
    work();
    return std::nullopt;
  } catch (const ApiError& error) {
    return error.response();
  } catch (const Error& error) {
    const int status = error.kind() == ErrorKind::kUsage ? 400 : 500;
    return ApiError{.status = status, .message = error.cause()}.response();
  } catch (const std::exception& error) {
    return ApiError{.status = 500, .message = error.what()}.response();
  }
}

}  // namespace

Api::Api(ApiOptions options, std::shared_ptr<const ModelText> model)
    : options_(std::move(options)), model_(std::move(model)), created_(std::time(nullptr)) {}

void Api::attach(Engine& engine, Aside aside) {
  aside_ = std::move(aside);
  info_ = engine.info();
  hub_ = std::make_unique<EngineHub>(engine);
  metrics_.cache = {.tokens = info_.kv_tokens, .page_tokens = kPageTokens, .max_model_len = info_.max_model_len};
  metrics_.adapters = adapter_names(options_.adapters);
  parser_ = std::make_unique<CompletionParser>(*model_, info_, options_.served_names, options_.seed, metrics_.adapters);
  context_ = std::make_unique<CompletionContext>(CompletionContext{
      *hub_, metrics_, model_->tokenizer, options_.served_names.front(), "longship-" + options_.version});
}

const std::map<std::string, Api::Route>& Api::routes() {
  static const std::map<std::string, Route> kRoutes = {
      {"/health", {"GET", &Api::health, true}},
      {"/live", {"GET", &Api::live, true}},
      {"/version", {"GET", &Api::version}},
      {"/metrics", {"GET", &Api::metrics_text}},
      {"/ping", {"GET", &Api::health}},
      {"/cluster", {"GET", &Api::cluster}},
      {"/load", {"GET", &Api::load}},
      {"/v1/models", {"GET", &Api::models}},
      {"/v1/models/", {"GET", &Api::model}},  // and what follows
      {"/models", {"GET", &Api::models}},
      {"/tokenize", {"POST", &Api::tokenize}},
      {"/detokenize", {"POST", &Api::detokenize}},
      {"/v1/completions", {"POST", &Api::completions}},
      {"/v1/chat/completions", {"POST", &Api::chat_completions}},
      {"/completions", {"POST", &Api::completions}},
      {"/chat/completions", {"POST", &Api::chat_completions}},
  };
  return kRoutes;
}

Access::PathKind Api::kind_of(const std::string& path) {
  const auto found = routes().find(path);
  const bool open = found != routes().end() && found->second.open;
  return open ? Access::PathKind::kOpen : is_web_path(path) ? Access::PathKind::kPage : Access::PathKind::kProgram;
}

void Api::handle(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange) {
  if (std::optional<HttpResponse> failure = failure_of([&] { dispatch(request, exchange); })) {
    exchange->respond(std::move(*failure));
  }
}

// Reads a body aside; `read` returns how to go on, on the server's thread, if the client is still there.
void Api::read_aside(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange, Read read) {
  if (!aside_) {
    read(request)(exchange);
    return;
  }
  const auto gone = std::make_shared<std::atomic<bool>>(false);
  exchange->on_abandoned([gone] { *gone = true; });
  const auto deadline = std::chrono::steady_clock::now() + kMostReadingWait;
  // The exchange is let go by the server's thread alone.
  const auto held = std::make_shared<std::shared_ptr<HttpExchange>>(exchange);
  const auto work = [this, copy = std::make_shared<const HttpRequest>(request), read = std::move(read), held, gone,
                     deadline]() -> Work {
    Answer next;
    std::optional<HttpResponse> failure;
    if (!*gone) {
      failure = failure_of([&] {
        if (std::chrono::steady_clock::now() > deadline) throw too_busy();
        next = read(*copy);
      });
    }
    return [this, next = std::move(next), failure = std::move(failure), waiting = std::exchange(*held, nullptr), gone] {
      --reading_;
      if (*gone) {
        return;
      }
      const std::optional<HttpResponse> refusal = failure ? failure : failure_of([&] { next(waiting); });
      if (refusal) waiting->respond(*refusal);
    };
  };
  if (!aside_(work, request.body.size() >= kLargeBody)) {
    throw too_busy();
  }
  ++reading_;
}

void Api::dispatch(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange) {
  if (is_web_path(request.path) && (request.method == "GET" || request.method == "HEAD")) {
    exchange->respond(web_response(request));
    return;
  }
  constexpr std::string_view kModel = "/v1/models/";
  const auto found = routes().find(request.path.starts_with(kModel) ? std::string(kModel) : request.path);
  if (found == routes().end()) {
    throw ApiError{.status = 404, .message = "there is no " + request.path.substr(0, 200) + " here"};
  }
  const Route& route = found->second;
  const bool head = request.method == "HEAD" && std::string_view(route.method) == "GET";
  if (request.method != route.method && !head) {
    throw ApiError{.status = 405, .message = request.path + " takes " + route.method + " only", .allow = route.method};
  }
  (this->*route.action)(request, exchange);
}

void Api::require_engine() const {
  if (draining_) {
    throw ApiError{.status = 503, .message = "the server is shutting down", .retry_after_s = 5};
  }
  if (hub_ == nullptr) {
    throw ApiError{.status = 503, .message = "the model is loading", .retry_after_s = 1};
  }
}

// What `reader` makes of a body; warns of what it did not read.
template <class Reader>
auto Api::read_body(const HttpRequest& request, const Reader& reader) {
  const Json body = body_of(request);
  const Fields fields(body);
  auto result = reader(fields);
  unknown_fields_.warn_of(request.path, fields.unread());
  return result;
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

Json Api::model_json(const std::string& name) const {
  Json model;
  model.set("id", name);
  model.set("object", "model");
  model.set("created", created_);
  model.set("owned_by", "longship");
  model.set("root", options_.served_names.front());
  model.set("parent", nullptr);
  model.set("max_model_len", info_.max_model_len);
  return model;
}

// As vLLM tells of adapters.
Json Api::adapter_json(const AdapterOption& adapter) const {
  Json model = model_json(adapter.name);
  model.set("root", adapter.path.native());
  model.set("parent", options_.served_names.front());
  return model;
}

void Api::models(const HttpRequest&, const std::shared_ptr<HttpExchange>& exchange) {
  require_engine();
  Json::Array data;
  for (const std::string& name : options_.served_names) {
    data.push_back(model_json(name));
  }
  for (const AdapterOption& adapter : options_.adapters) {
    data.push_back(adapter_json(adapter));
  }
  Json body;
  body.set("object", "list");
  body.set("data", std::move(data));
  exchange->respond(ok(body));
}

void Api::model(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange) {
  require_engine();
  const std::string name = unescaped(request.path).substr(std::string_view("/v1/models/").size());
  const int32_t adapter = parser_->adapter_named(name);
  exchange->respond(
      ok(adapter == 0 ? model_json(name) : adapter_json(options_.adapters[static_cast<std::size_t>(adapter - 1)])));
}

void Api::load(const HttpRequest&, const std::shared_ptr<HttpExchange>& exchange) {
  require_engine();
  Json body;
  body.set("server_load", open_requests());
  exchange->respond(ok(body));
}

// Accepted and not answered yet.
int64_t Api::open_requests() const {
  return hub_->counters().waiting + hub_->counters().running + reading_;
}

void Api::metrics_text(const HttpRequest&, const std::shared_ptr<HttpExchange>& exchange) {
  const EngineCounters counters = hub_ == nullptr ? EngineCounters{} : hub_->counters();
  const EngineStats stats = hub_ == nullptr ? EngineStats{} : hub_->stats();
  const bool attached = hub_ != nullptr;
  const std::vector<RankRate> ranks = attached ? hub_->cluster().rates(Cluster::Clock::now()) : std::vector<RankRate>{};
  const int64_t recoveries = attached ? hub_->losses().count : 0;
  exchange->respond({.status = 200,
                     .body = metrics_.text(counters, stats, ranks, recoveries, options_.served_names.front()),
                     .content_type = "text/plain; version=0.0.4; charset=utf-8"});
}

void Api::tokenize(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange) {
  require_engine();
  read_aside(request, exchange, [this](const HttpRequest& whole) {
    return answer_with(ok(read_body(whole, [this](const Fields& fields) {
      return longship::tokenize(fields, *parser_, *model_->tokenizer, info_);
    })));
  });
}

void Api::detokenize(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange) {
  require_engine();
  read_aside(request, exchange, [this](const HttpRequest& whole) {
    return answer_with(ok(read_body(whole, [this](const Fields& fields) {
      return longship::detokenize(fields, *parser_, *model_->tokenizer, info_);
    })));
  });
}

void Api::completions(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange) {
  complete(request, exchange, false);
}

void Api::chat_completions(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange) {
  complete(request, exchange, true);
}

void Api::complete(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange, bool chat) {
  require_engine();
  if (open_requests() >= options_.most_requests) {
    throw ApiError{.status = 429, .message = "the queue is full", .code = "queue_full", .retry_after_s = 1};
  }
  read_aside(request, exchange, [this, chat](const HttpRequest& whole) -> Answer {
    auto completion = std::make_shared<CompletionRequest>(
        read_body(whole, [&](const Fields& fields) { return parser_->parse(fields, chat); }));
    completion->generation.client = client_of(whole);
    return [this, completion](const std::shared_ptr<HttpExchange>& client) {
      std::make_shared<Completion>(*context_, std::move(*completion), client)->start();
    };
  });
}

}  // namespace longship
