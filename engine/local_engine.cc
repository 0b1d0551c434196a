#include "engine/local_engine.h"

#include <algorithm>
#include <utility>

namespace longship {

namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

// Publishes plans ahead of the one that the leader executes, so that the stages before it have work.
class LocalEngine::LeaderStepSource : public StepSource {
 public:
  LeaderStepSource(LocalEngine& engine, const SchedulerLimits& limits, ControlChannel& control, ActivityNews* news,
                   KeptPages* kept)
      : engine_(engine),
        scheduler_(limits, kept),
        window_(static_cast<std::size_t>(limits.window)),
        control_(control),
        news_(news) {}

  std::optional<StepPlan> next() override {
    do {
      apply(engine_.take_commands(ahead_.empty() && scheduler_.idle()));
      if (engine_.stopping()) {
        stop();
      } else {
        fill_window();
      }
      engine_.publish(take_events());
      publish_activity();
    } while (ahead_.empty() && !stopped_);
    if (ahead_.empty()) {
      engine_.end_events();
      return std::nullopt;
    }
    StepPlan plan = std::move(ahead_.front());
    ahead_.pop_front();
    return plan;
  }

  void commit(const StepResult& result) override {
    if (!result.reports.empty()) {
      EngineEvent event;
      event.kind = EngineEvent::Kind::kReport;
      event.reports = result.reports;
      engine_.publish({std::move(event)});
      return;
    }
    scheduler_.commit(result);
    engine_.publish(take_events());
  }

 private:
  void apply(std::deque<Command> commands) {
    for (Command& command : commands) {
      if (auto* submit = std::get_if<Submit>(&command)) {
        scheduler_.submit(submit->id, std::move(submit->request), std::move(submit->guide));
      } else if (const auto* cancel = std::get_if<Cancel>(&command)) {
        scheduler_.cancel(cancel->id);
      } else {
        StepPlan plan;
        plan.report = std::get<Report>(command).kind;
        publish(std::move(plan));
      }
    }
  }

  void publish(StepPlan plan) {
    control_.publish(plan.serialize());
    ahead_.push_back(std::move(plan));
  }

  // What all ranks have said since the last look.
  void publish_activity() {
    const Clock::time_point now = Clock::now();
    if (news_ == nullptr || now < next_look_) {
      return;
    }
    next_look_ = now + ActivityNews::kPeriod;
    EngineEvent event;
    event.kind = EngineEvent::Kind::kActivity;
    if (std::optional<RankActivity> mine = news_->take(now)) {
      event.activity.push_back(std::move(*mine));
    }
    while (const std::optional<Bytes> frame = control_.heard()) {
      event.activity.push_back(RankActivity::parse(*frame));
    }
    if (!event.activity.empty()) {
      engine_.publish({std::move(event)});
    }
  }

  void fill_window() {
    while (ahead_.size() < window_) {
      std::optional<StepPlan> plan = scheduler_.schedule();
      if (!plan) {
        break;
      }
      publish(std::move(*plan));
    }
    LONGSHIP_CHECK(!ahead_.empty() || scheduler_.idle(), "with nothing in flight, some request can go on");
  }

  // The other ranks run what was published before the stop frame, so the leader does too before its loop ends.
  void stop() {
    if (!std::exchange(stopped_, true)) {
      control_.publish({});
    }
    scheduler_.cancel_all();
  }

  // The scheduler's events, and before them what it has come to, if a request ends or enough time has passed.
  std::vector<EngineEvent> take_events() {
    std::vector<EngineEvent> events = scheduler_.take_events();
    const auto now = std::chrono::steady_clock::now();
    const bool ends = std::any_of(events.begin(), events.end(),
                                  [](const EngineEvent& event) { return event.kind == EngineEvent::Kind::kFinished; });
    const EngineStats stats = scheduler_.stats();
    if (stats != told_ && (ends || now >= next_stats_)) {
      told_ = stats;
      next_stats_ = now + kStatsPeriod;
      EngineEvent event;
      event.kind = EngineEvent::Kind::kStats;
      event.stats = stats;
      events.insert(events.begin(), std::move(event));
    }
    return events;
  }

  static constexpr std::chrono::milliseconds kStatsPeriod{100};

  LocalEngine& engine_;
  Scheduler scheduler_;
  EngineStats told_;
  std::chrono::steady_clock::time_point next_stats_{};
  std::size_t window_;
  ControlChannel& control_;
  ActivityNews* news_;
  Clock::time_point next_look_{};  ///< For what ranks have said.
  std::deque<StepPlan> ahead_;     ///< Published, not yet executed here.
  bool stopped_ = false;           ///< The stop frame was published.
};

LocalEngine::LocalEngine(const EngineInfo& info, const SchedulerLimits& limits, ControlChannel& control,
                         Guides::LoadVocabulary load_vocabulary, ActivityNews* news, KeptPages* kept)
    : info_(info),
      guides_(std::move(load_vocabulary)),
      source_(std::make_unique<LeaderStepSource>(*this, limits, control, news, kept)) {}

LocalEngine::~LocalEngine() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  unprepared_arrived_.notify_one();
  if (preparer_.joinable()) {
    preparer_.join();
  }
}

StepSource& LocalEngine::source() {
  return *source_;
}

void LocalEngine::push(Command command) {
  {
    const std::lock_guard lock(mutex_);
    commands_.push_back(std::move(command));
  }
  command_arrived_.notify_one();
}

// A grammar takes long to compile: neither the submitting thread waits for it nor the rank's.
RequestId LocalEngine::submit(GenerationRequest request) {
  const bool ready = request.grammar.kind == GrammarSpec::Kind::kNone;
  RequestId id = 0;
  {
    const std::lock_guard lock(mutex_);
    id = ++last_id_;
    if (ready) {
      commands_.push_back(Submit{id, std::move(request), std::nullopt});
    } else {
      unprepared_.push_back(Submit{id, std::move(request), std::nullopt});
      if (!preparer_.joinable()) preparer_ = std::thread([this] { prepare_guides(); });
    }
  }
  (ready ? command_arrived_ : unprepared_arrived_).notify_one();
  return id;
}

void LocalEngine::prepare_guides() {
  std::unique_lock lock(mutex_);
  for (;;) {
    unprepared_arrived_.wait(lock, [this] { return ended_ || !unprepared_.empty(); });
    if (ended_) {
      return;
    }
    Submit next = std::move(unprepared_.front());
    unprepared_.pop_front();
    preparing_ = next.id;
    preparing_is_cancelled_ = false;
    lock.unlock();
    prepare(std::move(next));
    lock.lock();
  }
}

void LocalEngine::prepare(Submit submit) {
  const RequestId id = submit.id;
  std::optional<EngineEvent> end;
  try {
    submit.guide = guides_.make(submit.request.grammar, submit.request.output);
  } catch (const Error& error) {
    end = finished(id, FinishReason::kError, error.cause());
  }
  {
    const std::lock_guard lock(mutex_);
    preparing_ = 0;
    if (preparing_is_cancelled_) {
      end = finished(id, FinishReason::kCancelled);
    } else if (!end) {
      commands_.push_back(std::move(submit));
    }
  }
  if (end) {
    publish({std::move(*end)});
  } else {
    command_arrived_.notify_one();
  }
}

EngineEvent LocalEngine::finished(RequestId request, FinishReason reason, std::string error) {
  EngineEvent event;
  event.request = request;
  event.kind = EngineEvent::Kind::kFinished;
  event.reason = reason;
  event.error = std::move(error);
  event.token = -1;
  return event;
}

void LocalEngine::cancel(RequestId request) {
  {
    const std::lock_guard lock(mutex_);
    if (request == preparing_) {
      preparing_is_cancelled_ = true;
      return;
    }
    if (std::erase_if(unprepared_, [&](const Submit& submit) { return submit.id == request; }) == 0) {
      commands_.push_back(Cancel{request});
      command_arrived_.notify_one();
      return;
    }
  }
  publish({finished(request, FinishReason::kCancelled)});
}

void LocalEngine::report(ReportKind kind) {
  push(Report{kind});
}

void LocalEngine::shutdown() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  command_arrived_.notify_one();
}

bool LocalEngine::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

std::deque<LocalEngine::Command> LocalEngine::take_commands(bool wait) {
  std::unique_lock lock(mutex_);
  if (wait) {
    command_arrived_.wait_for(lock, ActivityNews::kPeriod, [&] { return stopping_ || !commands_.empty(); });
  }
  return std::exchange(commands_, {});
}

void LocalEngine::publish(std::vector<EngineEvent> events) {
  if (events.empty()) {
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    for (EngineEvent& event : events) {
      events_.push_back(std::move(event));
    }
  }
  event_arrived_.notify_one();
}

std::optional<EngineEvent> LocalEngine::next_event(Deadline deadline) {
  std::unique_lock lock(mutex_);
  event_arrived_.wait_until(lock, deadline, [&] { return failure_ || no_more_events_ || !events_.empty(); });
  if (!events_.empty()) {
    EngineEvent event = std::move(events_.front());
    events_.pop_front();
    return event;
  }
  if (failure_) {
    throw Error(*failure_);
  }
  return std::nullopt;
}

void LocalEngine::end_events() {
  {
    const std::lock_guard lock(mutex_);
    no_more_events_ = true;
  }
  event_arrived_.notify_one();
}

void LocalEngine::fail(const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    failure_ = error;
  }
  event_arrived_.notify_one();
}

namespace {

class FollowerStepSource : public StepSource {
 public:
  FollowerStepSource(ControlChannel& control, ActivityNews* news) : control_(control), news_(news) {}

  std::optional<StepPlan> next() override {
    for (;;) {
      if (const auto frame = control_.receive(tell_news())) {
        return frame->empty() ? std::nullopt : std::optional(StepPlan::parse(*frame));
      }
    }
  }

  void commit(const StepResult&) override {}

 private:
  // An idle leader publishes nothing; the loss of it is an error of receive().
  static constexpr std::chrono::seconds kPatience{60};

  // Returns how long the next plan may be waited for.
  Clock::time_point tell_news() {
    const Clock::time_point now = Clock::now();
    if (news_ == nullptr) {
      return now + kPatience;
    }
    if (const std::optional<RankActivity> activity = news_->take(now)) {
      control_.tell(activity->serialize());
    }
    return std::min(now + kPatience, news_->due());
  }

  ControlChannel& control_;
  ActivityNews* news_;
};

}  // namespace

std::unique_ptr<StepSource> make_follower_source(ControlChannel& control, ActivityNews* news) {
  return std::make_unique<FollowerStepSource>(control, news);
}

}  // namespace longship
