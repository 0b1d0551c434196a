#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>

#include "core/error.h"
#include "engine/engine.h"

namespace longship {

/// An engine without a model: answers a prompt by counting up from its last token (modulo V), and logits of position p
/// are p at the prompt's token and 0 elsewhere. A prompt that begins with 0 is refused; one that begins with 1 runs
/// until it is cancelled.
class FakeEngine : public Engine {
 public:
  static constexpr int64_t kVocab = 50;

  EngineInfo info() const override {
    return {.vocab = kVocab, .max_model_len = 64, .kv_tokens = 1024, .tp = 2, .pp = 3, .repeatable = false};
  }

  RequestId submit(GenerationRequest request) override {
    const std::lock_guard lock(mutex_);
    const RequestId id = ++last_id_;
    requests_.push_back(request);
    if (request.prompt.front() == 0) {
      finish(id, FinishReason::kError, "refused");
    } else if (request.prompt.front() == 1) {
      waiting_.insert(id);
    } else {
      answer(id, request);
    }
    arrived_.notify_all();
    return id;
  }

  void cancel(RequestId id) override {
    const std::lock_guard lock(mutex_);
    if (waiting_.erase(id) != 0) {
      finish(id, FinishReason::kCancelled, "");
      arrived_.notify_all();
    }
  }

  /// Ranks 0 to 5 report nothing but their number and one step.
  void report(ReportKind kind) override {
    const std::lock_guard lock(mutex_);
    EngineEvent event;
    event.kind = EngineEvent::Kind::kReport;
    for (int rank = 0; rank < 6; ++rank) {
      RankReport report;
      report.rank = rank;
      report.roofline.ops_per_s = kind == ReportKind::kRoofline ? 2.0 : 0.0;
      report.spans = {{"step", SpanKind::kStep, 10, 20 + rank, 3}};
      event.reports.push_back(std::move(report));
    }
    events_.push_back(std::move(event));
    arrived_.notify_all();
  }

  std::optional<EngineEvent> next_event(Deadline deadline) override {
    std::unique_lock lock(mutex_);
    arrived_.wait_until(lock, deadline, [this] { return !events_.empty() || failure_ || stopping_; });
    if (failure_) {
      throw *failure_;
    }
    if (events_.empty()) {
      return std::nullopt;
    }
    EngineEvent event = std::move(events_.front());
    events_.pop_front();
    return event;
  }

  void shutdown() override {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    arrived_.notify_all();
  }

  void fail(const Error& error) {
    const std::lock_guard lock(mutex_);
    failure_ = error;
    arrived_.notify_all();
  }
  std::deque<GenerationRequest> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void answer(RequestId id, const GenerationRequest& request) {
    if (request.prompt_logits) {
      EngineEvent event;
      event.request = id;
      event.kind = EngineEvent::Kind::kLogits;
      for (std::size_t p = 0; p < request.prompt.size(); ++p) {
        std::vector<float> row(kVocab, 0.0F);
        row[static_cast<std::size_t>(request.prompt[p])] = static_cast<float>(p);
        event.logits.insert(event.logits.end(), row.begin(), row.end());
      }
      events_.push_back(std::move(event));
    }
    for (int64_t i = 1; i <= request.max_tokens; ++i) {
      EngineEvent event;
      event.request = id;
      event.token = static_cast<int32_t>((request.prompt.back() + i) % kVocab);
      events_.push_back(std::move(event));
    }
    finish(id, FinishReason::kLength, "");
  }

  void finish(RequestId id, FinishReason reason, const std::string& error) {
    EngineEvent event;
    event.request = id;
    event.kind = EngineEvent::Kind::kFinished;
    event.reason = reason;
    event.error = error;
    event.cached_tokens = 1;
    events_.push_back(std::move(event));
  }

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<EngineEvent> events_;
  std::deque<GenerationRequest> requests_;
  std::set<RequestId> waiting_;
  std::optional<Error> failure_;
  bool stopping_ = false;
  RequestId last_id_ = 0;
};

}  // namespace longship
