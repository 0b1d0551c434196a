#pragma once

#include <deque>
#include <memory>
#include <string>

#include "engine/engine.h"
#include "launcher/server/api.h"

namespace longship {

/// An engine without a model that answers at once, as a request asks: tokens that count up from the prompt's last one,
/// or what it is told to say; logprobs of -1.
class ReadyEngine : public Engine {
 public:
  ReadyEngine(int64_t vocab, int64_t max_model_len) : vocab_(vocab), max_model_len_(max_model_len) {}

  EngineInfo info() const override { return {.vocab = vocab_, .max_model_len = max_model_len_, .kv_tokens = 3000}; }
  RequestId submit(GenerationRequest request) override;
  void cancel(RequestId) override {}
  void report(ReportKind) override {}
  void shutdown() override {}
  std::optional<EngineEvent> next_event(Deadline deadline) override;

  /// From now on all answers are these tokens, and then an end of text.
  void say(std::vector<int32_t> tokens) { words_ = std::move(tokens); }
  /// The latest request.
  const GenerationRequest& request() const { return request_; }

 private:
  EngineEvent& add(EngineEvent::Kind kind);
  void tell_prompt();
  void tell_token(int32_t token);

  int64_t vocab_;
  int64_t max_model_len_;
  RequestId last_id_ = 0;
  GenerationRequest request_;
  std::vector<int32_t> words_;
  std::deque<EngineEvent> events_;
};

struct ApiAnswer {
  int status = 0;  ///< 0: there was none.
  int answers = 0;
  bool stream = false;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

/// The API over that engine and a small model's text, without a network.
class ServedApi {
 public:
  explicit ServedApi(std::vector<AdapterOption> adapters = {});
  explicit ServedApi(std::shared_ptr<const ModelText> model, int64_t max_model_len = 300,
                     std::vector<AdapterOption> adapters = {});

  ApiAnswer ask(const HttpRequest& request);
  const ReadyEngine& engine() const { return engine_; }
  ReadyEngine& engine() { return engine_; }
  /// Nothing is left of the requests.
  bool idle() { return api_.hub()->idle(); }

 private:
  std::shared_ptr<const ModelText> model_;
  ReadyEngine engine_;
  Api api_;
};

}  // namespace longship
