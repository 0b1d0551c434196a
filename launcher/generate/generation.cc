#include "launcher/generate/generation.h"

#include <array>
#include <cstdio>

#include "core/error.h"
#include "engine/text/detokenizer.h"
#include "launcher/generate/stop_matcher.h"

namespace longship {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kOneWait(1);

double seconds_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

double per_second(int64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0.0;
}

// One reply while it runs.
class Stream {
 public:
  Stream(const std::shared_ptr<const Tokenizer>& tokenizer, const std::vector<std::string>& stops, const ShowText& show)
      : detokenizer_(tokenizer),
        stops_(stops),
        show_(show),
        started_(Clock::now()),
        first_(started_),
        last_(started_) {}

  /// False once the request has no more use.
  bool push(int32_t id, Clock::time_point made) {
    last_ = made;
    if (reply_.ids.empty()) {
      first_ = last_;
    }
    reply_.ids.push_back(id);
    return show(stops_.push(detokenizer_.push(id))) && !stops_.stopped();
  }

  Reply finish(const EngineEvent& finished, int64_t prompt_tokens) {
    if (!stops_.stopped()) {
      show(stops_.push(detokenizer_.flush()));
      show(stops_.flush());
    }
    const bool ended = finished.reason == FinishReason::kStop || finished.reason == FinishReason::kLength;
    reply_.whole = ended && !stops_.stopped();
    reply_.stats = {.prompt_tokens = prompt_tokens - finished.cached_tokens,
                    .tokens = static_cast<int64_t>(reply_.ids.size()),
                    .prompt_seconds = seconds_between(started_, first_),
                    .token_seconds = seconds_between(first_, last_)};
    return std::move(reply_);
  }

 private:
  bool show(const std::string& text) {
    reply_.text += text;
    reply_.closed = reply_.closed || (!text.empty() && !show_(text));
    return !reply_.closed;
  }

  Detokenizer detokenizer_;
  StopMatcher stops_;
  const ShowText& show_;
  Clock::time_point started_;
  Clock::time_point first_;
  Clock::time_point last_;
  Reply reply_;
};

EngineEvent next_event_of(Engine& engine, RequestId id) {
  for (;;) {
    std::optional<EngineEvent> event = engine.next_event(Clock::now() + kOneWait);
    if (event && event->request == id) {
      return std::move(*event);
    }
  }
}

}  // namespace

void CancelSwitch::arm(std::function<void()> cancel) {
  const std::lock_guard lock(mutex_);
  cancel_ = std::move(cancel);
}

void CancelSwitch::disarm() {
  arm({});
}

bool CancelSwitch::trigger() {
  const std::lock_guard lock(mutex_);
  if (!cancel_) {
    return false;
  }
  cancel_();
  return true;
}

GenerationStats& GenerationStats::operator+=(const GenerationStats& other) {
  prompt_tokens += other.prompt_tokens;
  tokens += other.tokens;
  prompt_seconds += other.prompt_seconds;
  token_seconds += other.token_seconds;
  return *this;
}

std::string GenerationStats::text() const {
  std::array<char, 160> line{};
  std::snprintf(line.data(), line.size(), "prompt %lld tokens, %.1f tokens/s; generation %lld tokens, %.1f tokens/s",
                static_cast<long long>(prompt_tokens), per_second(prompt_tokens, prompt_seconds),
                static_cast<long long>(tokens), per_second(tokens > 0 ? tokens - 1 : 0, token_seconds));
  return line.data();
}

Reply generate(Engine& engine, const std::shared_ptr<const Tokenizer>& tokenizer, GenerationRequest request,
               const std::vector<std::string>& stops, const ShowText& show, CancelSwitch& cancel) {
  const auto prompt_tokens = static_cast<int64_t>(request.prompt.size());
  Stream stream(tokenizer, stops, show);
  const RequestId id = engine.submit(std::move(request));
  cancel.arm([&engine, id] { engine.cancel(id); });
  bool useful = true;
  for (;;) {
    const EngineEvent event = next_event_of(engine, id);
    if (event.kind == EngineEvent::Kind::kToken && useful) {
      useful = stream.push(event.token, event.made);
      if (!useful) {
        engine.cancel(id);
      }
    }
    if (event.kind == EngineEvent::Kind::kFinished) {
      cancel.disarm();
      if (event.reason >= FinishReason::kError) {
        throw Error(ErrorKind::kUsage, event.error, "Change the prompt, the grammar or --max-model-len.");
      }
      Reply reply = stream.finish(event, prompt_tokens);
      reply.cancelled = useful && event.reason == FinishReason::kCancelled;
      return reply;
    }
  }
}

}  // namespace longship
