#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "core/error.h"
#include "engine/engine.h"

namespace longship {

/// An engine whose ranks may be lost: it starts them again and lets every request go on where it was. What a request
/// has emitted is journaled here and given to the new ranks, which compute its keys and values again where they found
/// none that the lost ranks have left; as a token is the same function of the tokens before it and of the request on
/// any ranks, the stream is that of a run without the loss.
///
/// A request that is among those running at three losses in a row without a new token in between is refused. Before
/// its third, suspects are tried one at a time, so that those beside it are spared.
class SurvivingEngine : public Engine {
 public:
  /// Starts ranks and waits until they are ready; what was started before has been destroyed. Errors: all kinds.
  using Start = std::function<std::shared_ptr<Engine>()>;
  /// Told of each loss, with the number of requests that wait for new ranks.
  using OnLoss = std::function<void(const Error& loss, std::size_t requests)>;

  /// Errors: that of a start, unless ranks were lost and starting again, several times, helps.
  SurvivingEngine(Start start, OnLoss on_loss);

  EngineInfo info() const override { return info_; }
  bool ready() const override;
  EngineLosses losses() const override;
  RequestId submit(GenerationRequest request) override;
  void cancel(RequestId request) override;
  void report(ReportKind kind) override;
  /// After a loss it returns when the new ranks are ready. Errors: that of a start, when several have failed.
  std::optional<EngineEvent> next_event(Deadline deadline) override;
  void shutdown() override;

 private:
  struct Entry {
    GenerationRequest request;  ///< With the tokens emitted so far.
    RequestId inner = 0;        ///< Its id in the present engine; 0: it waits.
    bool cancelled = false;     ///< Its end is on its way.
    int64_t prompt_end = 0;     ///< Prompt positions before this were reported.
    /// Of its prompt, before the first token; what kept pages spare after a loss is not the prefix cache's merit.
    std::optional<int64_t> cached_tokens{};
    int losses = 0;  ///< In a row, without a token in between.
  };

  std::optional<EngineEvent> translate(EngineEvent event);
  static bool keep_new(EngineEvent& event, Entry& entry);
  void recover(const Error& loss);
  std::shared_ptr<Engine> start_again();
  void give(RequestId id, Entry& entry);
  void give_next_suspect();
  void end(RequestId id, FinishReason reason, std::string error);

  Start start_;
  OnLoss on_loss_;
  EngineInfo info_;
  mutable std::mutex mutex_;
  std::shared_ptr<Engine> engine_;  ///< Null while there is none.
  EngineLosses losses_;
  RequestId last_id_ = 0;
  std::map<RequestId, Entry> journal_;  ///< Oldest first.
  std::unordered_map<RequestId, RequestId> outer_ids_;
  std::deque<RequestId> suspects_;  ///< That wait for their trial.
  RequestId on_trial_ = 0;
  std::deque<EngineEvent> events_;  ///< Of our own.
};

}  // namespace longship
