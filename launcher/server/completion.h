#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "engine/text/detokenizer.h"
#include "launcher/server/completion_request.h"
#include "launcher/server/engine_hub.h"
#include "launcher/server/http_server.h"
#include "launcher/server/metrics.h"
#include "launcher/stop_matcher.h"

namespace longship {

/// What all completions of a server share; outlives them.
struct CompletionContext {
  EngineHub& hub;
  Metrics& metrics;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::string model;  ///< Name that answers carry.
};

/// A request being answered: its choices run in the engine, their text goes to the client as it comes or at the end.
/// Lives as long as the engine or the exchange knows it; used by the server's thread.
class Completion : public std::enable_shared_from_this<Completion> {
 public:
  Completion(CompletionContext& context, CompletionRequest request, std::shared_ptr<HttpExchange> exchange);

  void start();

 private:
  using Clock = std::chrono::steady_clock;

  struct Choice {
    Choice(const std::shared_ptr<const Tokenizer>& tokenizer, const std::vector<std::string>& stop_texts)
        : detokenizer(tokenizer), stops(stop_texts) {}

    RequestId id = 0;
    Detokenizer detokenizer;
    StopMatcher stops;
    std::string text;  ///< All of it, unless it is streamed.
    int64_t tokens = 0;
    int64_t text_bytes = 0;  ///< So far, for text_offset.
    Json::Array logprobs;    ///< Not sent yet.
    std::string finish_reason;
    Clock::time_point last_token;
  };

  void on_event(std::size_t index, const EngineEvent& event);
  void on_token(std::size_t index, const EngineEvent& event);
  void show(std::size_t index, const std::string& text);
  void end_choice(std::size_t index, const char* reason);
  void end();
  void abandon();
  void fail(const EngineEvent& event);

  Json logprob_entry(const EngineEvent& event, int64_t text_offset) const;
  Json logprobs_json(Json::Array entries) const;
  Json envelope(bool chunk) const;
  Json choice_json(std::size_t index, bool chunk) const;
  Json usage() const;
  void send(const Json& event);
  void send_choice(std::size_t index, Json content, Json logprobs, Json finish_reason);

  CompletionContext& context_;
  CompletionRequest request_;
  std::shared_ptr<HttpExchange> exchange_;
  std::string id_;
  int64_t created_;
  Clock::time_point started_;
  std::vector<Choice> choices_;
  std::size_t running_ = 0;
  int64_t cached_tokens_ = 0;
  bool over_ = false;
};

}  // namespace longship
