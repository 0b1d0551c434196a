#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <variant>

#include "comm/control.h"
#include "engine/activity_news.h"
#include "engine/engine.h"
#include "engine/sample/grammar/guides.h"
#include "engine/schedule/scheduler.h"
#include "engine/schedule/step_source.h"

namespace longship {

/// The engine in the leader's process: front-end threads submit and take events, the thread that drives the rank takes
/// plans and commits results through source(). Only the queues between them are shared, under one lock.
class LocalEngine : public Engine {
 public:
  /// `control` reaches the followers and is used by the rank's thread alone, as `news` of the leader's own activity is;
  /// null: there are no events of activity. Requests with a grammar need the vocabulary: it is loaded, and grammars
  /// are compiled, by a thread of their own. `kept`: see PagedCache.
  LocalEngine(const EngineInfo& info, const SchedulerLimits& limits, ControlChannel& control,
              Guides::LoadVocabulary load_vocabulary = {}, ActivityNews* news = nullptr, KeptPages* kept = nullptr);
  ~LocalEngine() override;

  EngineInfo info() const override { return info_; }
  RequestId submit(GenerationRequest request) override;
  void cancel(RequestId request) override;
  void report(ReportKind kind) override;
  /// Does not wait any more once a shutdown() has ended all requests and their events are taken.
  std::optional<EngineEvent> next_event(Deadline deadline) override;
  void shutdown() override;

  /// The leader's source of plans, for the rank's thread.
  StepSource& source();
  /// The rank's loop ended with an error: next_event() throws it from now on.
  void fail(const Error& error);

 private:
  class LeaderStepSource;
  struct Submit {
    RequestId id;
    GenerationRequest request;
    std::optional<Guide> guide;
  };
  struct Cancel {
    RequestId id;
  };
  struct Report {
    ReportKind kind;
  };
  using Command = std::variant<Submit, Cancel, Report>;

  void push(Command command);
  void prepare_guides();
  void prepare(Submit submit);
  static EngineEvent finished(RequestId request, FinishReason reason, std::string error = {});
  /// Commands since the last call; waits for one, or for shutdown, or a while, if `wait`.
  std::deque<Command> take_commands(bool wait);
  void publish(std::vector<EngineEvent> events);
  /// Every request has ended, and so has the loop.
  void end_events();
  bool stopping() const;

  EngineInfo info_;
  Guides guides_;
  mutable std::mutex mutex_;
  std::condition_variable command_arrived_;
  std::condition_variable event_arrived_;
  std::deque<Command> commands_;
  std::deque<EngineEvent> events_;
  std::deque<Submit> unprepared_;  ///< Whose grammars are not compiled yet.
  RequestId preparing_ = 0;        ///< The one whose grammar is being compiled; 0: none.
  bool preparing_is_cancelled_ = false;
  bool ended_ = false;  ///< The engine is being destroyed.
  std::condition_variable unprepared_arrived_;
  std::optional<Error> failure_;
  bool stopping_ = false;
  bool no_more_events_ = false;
  RequestId last_id_ = 0;
  std::unique_ptr<LeaderStepSource> source_;
  std::thread preparer_;  ///< Runs once there is a grammar.
};

/// A follower's source: the plans that the leader publishes. Ends at its stop frame. Tells the leader the `news`,
/// unless they are null.
std::unique_ptr<StepSource> make_follower_source(ControlChannel& control, ActivityNews* news = nullptr);

}  // namespace longship
