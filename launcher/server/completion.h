#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launcher/server/chat_reply.h"
#include "launcher/server/choice.h"
#include "launcher/server/completion_json.h"
#include "launcher/server/completion_request.h"
#include "launcher/server/engine_hub.h"
#include "launcher/server/http/http_server.h"
#include "launcher/server/metrics.h"

namespace longship {

/// What all completions of a server share; outlives them.
struct CompletionContext {
  EngineHub& hub;
  Metrics& metrics;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::string model;        ///< Name that answers carry.
  std::string fingerprint;  ///< As CompletionJson has it.
};

/// A request being answered: its choices run in the engine, their text goes to the client as it comes or at the end.
/// Lives as long as the engine or the exchange knows it; used by the server's thread.
class Completion : public std::enable_shared_from_this<Completion> {
 public:
  Completion(CompletionContext& context, CompletionRequest request, std::shared_ptr<HttpExchange> exchange);

  void start();

 private:
  using Clock = std::chrono::steady_clock;

  struct Running {
    Choice choice;
    std::optional<ChatReply> reply;  ///< Of a chat.
    RequestId id = 0;
    std::string text{};          ///< That was not sent yet.
    std::vector<int32_t> ids{};  ///< That were not told yet, if they are.
    bool prompt_told = false;    ///< The ids of the prompt were.
    std::vector<PositionLogprobs> prompt_logprobs{};
    int64_t reasoning_tokens = 0;
    Ending ending{};
    double queued_s = 0;
    Clock::time_point first_token;
    Clock::time_point last_token;
  };

  void start_choice(std::size_t index);
  void on_event(std::size_t index, const EngineEvent& event);
  void on_token(std::size_t index, const EngineEvent& event);
  void note_token(std::size_t index, const EngineEvent& event);
  void on_prompt_logprobs(std::size_t index, const EngineEvent& event);
  void echo_prompt(std::size_t index);
  void show(std::size_t index, const std::string& text);
  void tell(std::size_t index, Json::Array deltas);
  void end_choice(std::size_t index, Ending ending, const EngineEvent* token);
  void end_reply(std::size_t index);
  void end();
  void end_stream();
  void respond();
  void cancel_all(const char* reason);
  void abandon();
  void fail(const EngineEvent& event);

  const CompletionRequest::Prompt& prompt_of(std::size_t index) const;
  std::vector<std::size_t> best_choices(std::size_t prompt) const;
  Json logprobs(const std::vector<TokenRow>& rows) const;
  Json prompt_logprobs(std::size_t index) const;
  TokenIds take_ids(std::size_t index);
  Usage usage() const;
  AnswerTimes times(std::size_t index) const;
  void note_cost() const;
  void note_request();
  void send(const Json& event);
  void send_chunk(std::size_t index, Json delta, Json logprobs, const Ending& ending);

  CompletionContext& context_;
  CompletionRequest request_;
  std::shared_ptr<HttpExchange> exchange_;
  CompletionJson json_;
  LogprobsJson logprobs_json_;
  Clock::time_point started_;
  std::vector<Running> choices_;  ///< All candidates of the first prompt, then those of the next.
  std::size_t running_ = 0;
  int64_t cached_tokens_ = 0;
  bool over_ = false;
};

}  // namespace longship
