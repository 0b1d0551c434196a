#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launcher/generate/model_text.h"
#include "launcher/options/engine_options.h"
#include "launcher/server/completion.h"
#include "launcher/server/http/access.h"
#include "launcher/server/http/http_server.h"
#include "launcher/server/unknown_fields.h"

namespace longship {

struct ApiOptions {
  std::vector<std::string> served_names;  ///< The first is what answers carry.
  std::vector<AdapterOption> adapters{};  ///< Models of their own to clients, in the engine's order.
  std::optional<uint64_t> seed{};         ///< Of requests that name none; else random.
  int64_t most_requests = 512;            ///< Accepted at a time; more are refused with 429.
  std::string version{};
};

/// The routes of the server. All but the flags belong to the server's thread.
class Api {
 public:
  using Work = std::function<void()>;
  /// Has `read` run in another thread, if that may take long because much is `large`, and what it returns, which does
  /// not throw, on the server's thread. False if too much waits.
  using Aside = std::function<bool(std::function<Work()> read, bool large)>;

  Api(ApiOptions options, std::shared_ptr<const ModelText> model);

  /// The engine is there: requests are taken from now on. Bodies are read `aside`, or at once if that is empty.
  void attach(Engine& engine, Aside aside = {});
  void handle(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange);
  static Access::PathKind kind_of(const std::string& path);
  EngineHub* hub() { return hub_.get(); }
  /// No request is being read or answered.
  bool idle() const { return hub_->idle() && reading_ == 0; }
  const Metrics& metrics() const { return metrics_; }

  /// No new requests; those accepted go on. Any thread.
  void drain() { draining_ = true; }
  bool draining() const { return draining_; }

 private:
  using Answer = std::function<void(const std::shared_ptr<HttpExchange>&)>;
  using Read = std::function<Answer(const HttpRequest&)>;
  using Action = void (Api::*)(const HttpRequest&, const std::shared_ptr<HttpExchange>&);
  struct Route {
    const char* method;
    Action action;
    bool open = false;  ///< Without a key.
  };

  static const std::map<std::string, Route>& routes();
  void dispatch(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange);
  void require_engine() const;
  int64_t open_requests() const;
  template <class Reader>
  auto read_body(const HttpRequest& request, const Reader& reader);
  void read_aside(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange, Read read);
  Json model_json(const std::string& name) const;
  Json adapter_json(const AdapterOption& adapter) const;
  void complete(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange, bool chat);

  void health(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange);
  void live(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange);
  void version(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange);
  void model(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange);
  void models(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange);
  void cluster(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange);
  void load(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange);
  void metrics_text(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange);
  void tokenize(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange);
  void detokenize(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange);
  void completions(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange);
  void chat_completions(const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange);

  ApiOptions options_;
  std::shared_ptr<const ModelText> model_;
  int64_t created_;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  EngineInfo info_;
  std::unique_ptr<EngineHub> hub_;
  std::unique_ptr<CompletionParser> parser_;
  std::unique_ptr<CompletionContext> context_;
  Aside aside_;
  int64_t reading_ = 0;  ///< Requests whose bodies are read aside.
  Metrics metrics_;
  UnknownFields unknown_fields_;
  std::atomic<bool> draining_ = false;
};

}  // namespace longship
