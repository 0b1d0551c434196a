#include "launcher/recovery/surviving_engine.h"

#include <algorithm>
#include <thread>
#include <utility>

namespace longship {

namespace {

constexpr int kMostLosses = 3;
constexpr int kMostStarts = 6;
constexpr std::chrono::milliseconds kFirstPause(100);

}  // namespace

SurvivingEngine::SurvivingEngine(Start start, OnLoss on_loss)
    : start_(std::move(start)), on_loss_(std::move(on_loss)), engine_(start_again()) {
  info_ = engine_->info();
}

bool SurvivingEngine::ready() const {
  const std::lock_guard lock(mutex_);
  return engine_ != nullptr;
}

EngineLosses SurvivingEngine::losses() const {
  const std::lock_guard lock(mutex_);
  return losses_;
}

RequestId SurvivingEngine::submit(GenerationRequest request) {
  const std::lock_guard lock(mutex_);
  const RequestId id = ++last_id_;
  Entry& entry = journal_[id];
  entry.request = std::move(request);
  if (engine_ != nullptr) {
    give(id, entry);
  }
  return id;
}

// The caller holds the lock, here and in the functions below that change the journal.
void SurvivingEngine::give(RequestId id, Entry& entry) {
  entry.inner = engine_->submit(entry.request);
  outer_ids_[entry.inner] = id;
}

void SurvivingEngine::cancel(RequestId request) {
  const std::lock_guard lock(mutex_);
  const auto found = journal_.find(request);
  if (found == journal_.end()) {
    return;
  }
  if (engine_ != nullptr && found->second.inner != 0) {
    found->second.cancelled = true;
    engine_->cancel(found->second.inner);
    return;
  }
  std::erase(suspects_, request);
  end(request, FinishReason::kCancelled, {});
}

void SurvivingEngine::report(ReportKind kind) {
  const std::lock_guard lock(mutex_);
  if (engine_ != nullptr) {
    engine_->report(kind);
  }
}

void SurvivingEngine::shutdown() {
  const std::lock_guard lock(mutex_);
  if (engine_ != nullptr) {
    engine_->shutdown();
  }
}

std::optional<EngineEvent> SurvivingEngine::next_event(Deadline deadline) {
  std::shared_ptr<Engine> engine;
  {
    const std::lock_guard lock(mutex_);
    if (!events_.empty()) {
      EngineEvent event = std::move(events_.front());
      events_.pop_front();
      return event;
    }
    engine = engine_;
  }
  try {
    std::optional<EngineEvent> event = engine->next_event(deadline);
    return event ? translate(std::move(*event)) : std::nullopt;
  } catch (const Error& loss) {
    engine.reset();
    recover(loss);
    return std::nullopt;
  }
}

// An event of the present engine as one of ours; journals it.
std::optional<EngineEvent> SurvivingEngine::translate(EngineEvent event) {
  const std::lock_guard lock(mutex_);
  if (event.request == 0) {
    return event;
  }
  const auto outer = outer_ids_.find(event.request);
  LONGSHIP_CHECK(outer != outer_ids_.end(), "events belong to submitted requests");
  event.request = outer->second;
  const auto found = journal_.find(event.request);
  const bool finished = event.kind == EngineEvent::Kind::kFinished;
  if (event.kind == EngineEvent::Kind::kToken || finished) {
    Entry& entry = found->second;
    if (!entry.cached_tokens) {
      entry.cached_tokens = entry.losses == 0 ? event.cached_tokens : 0;
    }
    event.cached_tokens = *entry.cached_tokens;
  }
  if (event.kind == EngineEvent::Kind::kToken) {
    found->second.request.output.push_back(event.token);
    found->second.losses = 0;
  }
  if (event.kind == EngineEvent::Kind::kPromptLogprobs && !keep_new(event, found->second)) {
    return std::nullopt;
  }
  if (finished) {
    outer_ids_.erase(outer);
    journal_.erase(found);
  }
  if (event.request == on_trial_ && (finished || event.kind == EngineEvent::Kind::kToken)) {
    give_next_suspect();
  }
  return event;
}

// New ranks report the prompt from its beginning again: drops what was told before. False if that is all.
bool SurvivingEngine::keep_new(EngineEvent& event, Entry& entry) {
  auto& positions = event.prompt_logprobs;
  const int64_t known = std::clamp<int64_t>(entry.prompt_end - event.first_position, 0, std::ssize(positions));
  positions.erase(positions.begin(), positions.begin() + known);
  event.first_position += known;
  entry.prompt_end = std::max(entry.prompt_end, event.first_position + std::ssize(positions));
  return !positions.empty();
}

void SurvivingEngine::recover(const Error& loss) {
  std::shared_ptr<Engine> lost;
  {
    const std::lock_guard lock(mutex_);
    lost = std::exchange(engine_, nullptr);
    outer_ids_.clear();
    suspects_.clear();
    on_trial_ = 0;
    for (auto next = journal_.begin(); next != journal_.end();) {
      auto& [id, entry] = *next++;
      if (entry.cancelled) {
        end(id, FinishReason::kCancelled, {});
      } else if (std::exchange(entry.inner, 0) != 0 && ++entry.losses == kMostLosses) {
        end(id, FinishReason::kLost,
            "the ranks were lost " + std::to_string(kMostLosses) + " times in a row while this request ran");
      }
    }
    ++losses_.count;
    losses_.last_cause = loss.cause();
    on_loss_(loss, journal_.size());
  }
  lost.reset();
  std::shared_ptr<Engine> engine = start_again();
  const std::lock_guard lock(mutex_);
  engine_ = std::move(engine);
  for (auto& [id, entry] : journal_) {
    if (entry.losses + 1 < kMostLosses) {
      give(id, entry);
    } else {
      suspects_.push_back(id);
    }
  }
  give_next_suspect();
}

std::shared_ptr<Engine> SurvivingEngine::start_again() {
  auto pause = kFirstPause;
  for (int attempt = 1;; ++attempt) {
    try {
      return start_();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kRank || attempt == kMostStarts) {
        throw;
      }
      const std::lock_guard lock(mutex_);
      on_loss_(error, journal_.size());
    }
    std::this_thread::sleep_for(pause);
    pause *= 2;
  }
}

void SurvivingEngine::give_next_suspect() {
  on_trial_ = 0;
  if (!suspects_.empty()) {
    on_trial_ = suspects_.front();
    suspects_.pop_front();
    give(on_trial_, journal_.at(on_trial_));
  }
}

void SurvivingEngine::end(RequestId id, FinishReason reason, std::string error) {
  journal_.erase(id);
  EngineEvent event;
  event.request = id;
  event.kind = EngineEvent::Kind::kFinished;
  event.reason = reason;
  event.error = std::move(error);
  events_.push_back(std::move(event));
}

}  // namespace longship
