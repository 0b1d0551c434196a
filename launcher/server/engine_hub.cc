#include "launcher/server/engine_hub.h"

#include <chrono>
#include <utility>

namespace longship {

RequestId EngineHub::submit(GenerationRequest request, Sink sink) {
  const auto prompt = static_cast<int64_t>(request.prompt.size());
  const int32_t adapter = request.adapter;
  const RequestId id = engine_.submit(std::move(request));
  requests_[id] = {std::move(sink), adapter, 0};
  count(requests_[id], 1);
  counters_.prompt_tokens += prompt;
  return id;
}

// A request begins to wait or to run (1), or is over with that (-1).
void EngineHub::count(const Request& request, int64_t change) {
  const bool waits = request.tokens == 0;
  (waits ? counters_.waiting : counters_.running) += change;
  if (request.adapter != 0) {
    (waits ? counters_.adapters_waiting : counters_.adapters_running)[request.adapter] += change;
  }
}

void EngineHub::cancel(RequestId request) {
  const auto found = requests_.find(request);
  if (found != requests_.end()) {
    count(found->second, -1);
    requests_.erase(found);
    engine_.cancel(request);
  }
}

void EngineHub::deliver(const EngineEvent& event) {
  if (event.kind == EngineEvent::Kind::kActivity) {
    cluster_.observe(
        event.activity,
        {.generated = counters_.generated_tokens, .wrong_guesses = stats_.draft_tokens - stats_.accepted_tokens},
        Cluster::Clock::now());
    return;
  }
  if (event.kind == EngineEvent::Kind::kStats) {
    stats_ = event.stats;
    return;
  }
  const auto found = requests_.find(event.request);
  if (found == requests_.end()) {  // cancelled
    return;
  }
  Request& request = found->second;
  if (event.kind == EngineEvent::Kind::kToken) {
    count(request, -1);
    ++request.tokens;
    count(request, 1);
    ++counters_.generated_tokens;
    const Sink sink = request.sink;  // it may cancel the request
    sink(event);
    return;
  }
  if (event.kind == EngineEvent::Kind::kPromptLogprobs) {
    request.sink(event);
    return;
  }
  if (event.kind == EngineEvent::Kind::kFinished) {
    const Sink sink = std::move(request.sink);
    if (event.reason == FinishReason::kStop && event.token >= 0) {
      ++counters_.generated_tokens;
    }
    count(request, -1);
    requests_.erase(found);
    sink(event);
  }
}

void EngineHub::fail(const std::string& message) {
  std::vector<RequestId> all;
  for (const auto& [id, request] : requests_) {
    all.push_back(id);
  }
  for (const RequestId id : all) {
    EngineEvent event;
    event.request = id;
    event.kind = EngineEvent::Kind::kFinished;
    event.reason = FinishReason::kLost;
    event.error = message;
    deliver(event);
  }
}

void EngineHub::pump(const std::function<bool()>& stopped,
                     const std::function<void(std::vector<EngineEvent>)>& deliver) {
  constexpr std::chrono::milliseconds kOneWait(50);
  while (!stopped()) {
    std::vector<EngineEvent> events;
    auto deadline = std::chrono::steady_clock::now() + kOneWait;
    while (std::optional<EngineEvent> event = engine_.next_event(deadline)) {
      events.push_back(std::move(*event));
      deadline = {};  // only what is there
    }
    if (!events.empty()) {
      deliver(std::move(events));
    }
  }
}

}  // namespace longship
