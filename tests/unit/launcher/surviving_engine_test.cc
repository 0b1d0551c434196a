#include "launcher/recovery/surviving_engine.h"

#include <gtest/gtest.h>

namespace longship {
namespace {

constexpr int32_t kPoison = 7;

// Counts up from the last token of prompt and output, a token for each look at its events, all requests in turn. It is
// lost at the first look while a request whose prompt begins with kPoison has run for `fuse` tokens in it, or after
// `life` looks.
class MortalEngine : public Engine {
 public:
  MortalEngine(int life, int fuse, int64_t cached_tokens = 0)
      : life_(life), fuse_(fuse), cached_tokens_(cached_tokens) {}

  EngineInfo info() const override { return {}; }
  RequestId submit(GenerationRequest request) override {
    running_.push_back({++last_id_, std::move(request), 0});
    return last_id_;
  }
  void cancel(RequestId id) override {
    std::erase_if(running_, [id](const Running& r) { return r.id == id; });
  }
  void report(ReportKind) override {}
  void shutdown() override {}

  std::optional<EngineEvent> next_event(Deadline) override {
    for (const Running& r : running_) {
      if (r.request.prompt.front() == kPoison && r.tokens == fuse_) life_ = 0;
    }
    if (life_-- == 0) throw Error(ErrorKind::kRank, "lost");
    if (running_.empty()) return std::nullopt;
    Running r = std::move(running_.front());
    running_.pop_front();
    EngineEvent event;
    event.request = r.id;
    event.cached_tokens = cached_tokens_;
    std::vector<int32_t>& output = r.request.output;
    if (static_cast<int64_t>(output.size()) == r.request.max_tokens) {
      event.kind = EngineEvent::Kind::kFinished;
      event.reason = FinishReason::kLength;
      return event;
    }
    event.token = (output.empty() ? r.request.prompt.back() : output.back()) + 1;
    output.push_back(event.token);
    ++r.tokens;
    running_.push_back(std::move(r));
    return event;
  }

 private:
  struct Running {
    RequestId id;
    GenerationRequest request;
    int tokens;
  };
  int life_;
  int fuse_;
  int64_t cached_tokens_;
  RequestId last_id_ = 0;
  std::deque<Running> running_;
};

struct Answer {
  std::vector<int32_t> tokens;
  bool finished = false;
  FinishReason reason = FinishReason::kStop;
  int64_t cached_tokens = 0;
};

GenerationRequest request(int32_t first, int64_t max_tokens) {
  GenerationRequest request;
  request.prompt = {first};
  request.max_tokens = max_tokens;
  return request;
}

std::map<RequestId, Answer> run(SurvivingEngine& engine) {
  std::map<RequestId, Answer> answers;
  for (int i = 0; i < 10000; ++i) {
    const std::optional<EngineEvent> event = engine.next_event({});
    if (!event) continue;
    Answer& answer = answers[event->request];
    EXPECT_FALSE(answer.finished);
    if (event->kind == EngineEvent::Kind::kToken) {
      answer.tokens.push_back(event->token);
    } else {
      answer.finished = true;
      answer.reason = event->reason;
      answer.cached_tokens = event->cached_tokens;
    }
  }
  return answers;
}

TEST(SurvivingEngine, RequestsGoOnWhereTheyWere) {
  int losses = 0;
  int life = 5;
  SurvivingEngine engine([&] { return std::make_shared<MortalEngine>(++life, 1000); },
                         [&](const Error&, std::size_t) { ++losses; });
  for (int32_t i = 0; i < 5; ++i) engine.submit(request(100 * (i + 1), 20));
  const auto answers = run(engine);
  EXPECT_GT(losses, 5);
  EXPECT_EQ(engine.losses().count, losses);
  EXPECT_EQ(engine.losses().last_cause, "lost");
  ASSERT_EQ(answers.size(), 5U);
  for (const auto& [id, answer] : answers) {
    EXPECT_TRUE(answer.finished);
    EXPECT_EQ(answer.reason, FinishReason::kLength);
    ASSERT_EQ(answer.tokens.size(), 20U);
    for (int32_t i = 0; i < 20; ++i) {
      EXPECT_EQ(answer.tokens[static_cast<std::size_t>(i)], 100 * static_cast<int32_t>(id) + i + 1);
    }
  }
}

// Engines find 3, 4, 5 ... cached tokens; the first gives a token to two requests of three.
TEST(SurvivingEngine, CachedTokensAreThoseBeforeALoss) {
  int64_t cached = 2;
  const auto start = [&] {
    ++cached;
    return std::make_shared<MortalEngine>(cached == 3 ? 2 : 20, 1000, cached);
  };
  SurvivingEngine engine(start, [](const Error&, std::size_t) {});
  for (int32_t i = 0; i < 3; ++i) engine.submit(request(100 * (i + 1), 4));
  const auto answers = run(engine);
  ASSERT_EQ(answers.size(), 3U);
  EXPECT_EQ(answers.at(1).cached_tokens, 3);
  EXPECT_EQ(answers.at(2).cached_tokens, 3);
  EXPECT_EQ(answers.at(3).cached_tokens, 0);
}

// Reports the logprobs of a prompt, two positions at a look, then ends; lost after `life` looks.
class ScoringEngine : public Engine {
 public:
  explicit ScoringEngine(int life) : life_(life) {}

  EngineInfo info() const override { return {}; }
  RequestId submit(GenerationRequest request) override {
    request_ = std::move(request);
    return 1;
  }
  void cancel(RequestId) override {}
  void report(ReportKind) override {}
  void shutdown() override {}

  std::optional<EngineEvent> next_event(Deadline) override {
    if (life_-- == 0) throw Error(ErrorKind::kRank, "lost");
    const auto length = std::ssize(request_.prompt);
    if (next_ > length) return std::nullopt;
    EngineEvent event;
    event.request = 1;
    event.kind = next_ == length ? EngineEvent::Kind::kFinished : EngineEvent::Kind::kPromptLogprobs;
    event.first_position = next_;
    for (int i = 0; i < 2 && next_ < length; ++i) {
      event.prompt_logprobs.push_back({-static_cast<float>(next_++), 1, {}});
    }
    next_ += event.kind == EngineEvent::Kind::kFinished ? 1 : 0;
    return event;
  }

 private:
  int life_;
  int64_t next_ = 1;
  GenerationRequest request_;
};

TEST(SurvivingEngine, TellsTheLogprobsOfAPromptOnce) {
  int life = 1;
  SurvivingEngine engine([&] { return std::make_shared<ScoringEngine>(life += 2); }, [](const Error&, std::size_t) {});
  GenerationRequest wants = request(1, 0);
  wants.prompt.resize(10, 1);
  wants.prompt_logprobs = 0;
  engine.submit(std::move(wants));
  int64_t next = 1;
  bool finished = false;
  for (int i = 0; i < 100 && !finished; ++i) {
    const std::optional<EngineEvent> event = engine.next_event({});
    if (!event) continue;
    finished = event->kind == EngineEvent::Kind::kFinished;
    if (finished) break;
    EXPECT_EQ(event->first_position, next);
    for (const PositionLogprobs& position : event->prompt_logprobs) {
      EXPECT_EQ(position.logprob, -static_cast<float>(next++));
    }
  }
  EXPECT_TRUE(finished);
  EXPECT_EQ(next, 10);
}

TEST(SurvivingEngine, RefusesTheRequestThatLosesTheRanksAndSparesTheOthers) {
  for (const int fuse : {0, 1}) {
    int losses = 0;
    SurvivingEngine engine([&] { return std::make_shared<MortalEngine>(1 << 20, fuse); },
                           [&](const Error&, std::size_t) { ++losses; });
    for (const int32_t first : {100, kPoison, 200, 300}) engine.submit(request(first, fuse == 0 ? 20 : 2));
    const auto answers = run(engine);
    ASSERT_EQ(answers.size(), 4U);
    for (const auto& [id, answer] : answers) {
      EXPECT_TRUE(answer.finished);
      // One that gets a token before each loss ends by itself.
      const bool refused = id == 2 && fuse == 0;
      EXPECT_EQ(answer.reason, refused ? FinishReason::kLost : FinishReason::kLength) << id;
    }
    EXPECT_EQ(losses, fuse == 0 ? 3 : 2);
  }
}

TEST(SurvivingEngine, TriesSeveralTimesToStart) {
  int starts = 0;
  SurvivingEngine engine(
      [&]() -> std::shared_ptr<Engine> {
        if (++starts > 1) throw Error(ErrorKind::kRank, "no start");
        return std::make_shared<MortalEngine>(0, 1000);
      },
      [](const Error&, std::size_t) {});
  EXPECT_TRUE(engine.ready());
  EXPECT_THROW(engine.next_event({}), Error);
  EXPECT_EQ(starts, 7);
  EXPECT_FALSE(engine.ready());
}

TEST(SurvivingEngine, StartsAgainAfterALossOnly) {
  for (const ErrorKind kind : {ErrorKind::kRank, ErrorKind::kDoesNotFit}) {
    int starts = 0;
    const auto start = [&]() -> std::shared_ptr<Engine> {
      if (++starts < 3) throw Error(kind, "no start");
      return std::make_shared<MortalEngine>(0, 1000);
    };
    if (kind == ErrorKind::kRank) {
      SurvivingEngine engine(start, [](const Error&, std::size_t) {});
      EXPECT_EQ(starts, 3);
    } else {
      EXPECT_THROW(SurvivingEngine(start, [](const Error&, std::size_t) {}), Error);
      EXPECT_EQ(starts, 1);
    }
  }
}

TEST(SurvivingEngine, CancelledRequestsStayCancelled) {
  SurvivingEngine engine([] { return std::make_shared<MortalEngine>(3, 1000); }, [](const Error&, std::size_t) {});
  const RequestId kept = engine.submit(request(100, 10));
  const RequestId gone = engine.submit(request(200, 10));
  engine.cancel(gone);
  const auto answers = run(engine);
  EXPECT_TRUE(answers.at(gone).tokens.empty());
  EXPECT_EQ(answers.at(gone).reason, FinishReason::kCancelled);
  EXPECT_EQ(answers.at(kept).tokens.size(), 10U);
}

}  // namespace
}  // namespace longship
