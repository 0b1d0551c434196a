#include "engine/local_engine.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <future>
#include <map>
#include <thread>

#include "comm/transport.h"
#include "engine/rank_loop.h"
#include "tests/unit/schedule/fake_model.h"

namespace longship {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr SchedulerLimits kLimits = {.vocab = 50,
                                     .max_model_len = 400,
                                     .max_num_seqs = 6,
                                     .max_batched_tokens = 16,
                                     .max_logit_rows = 16,
                                     .kv_pages = 24,
                                     .page_tokens = 8,
                                     .window = 3};

Engine::Deadline soon() {
  return Clock::now() + seconds(60);
}

// Runs plans on the fake model and remembers them.
class Recorder : public StepExecutor {
 public:
  explicit Recorder(milliseconds pause = {})
      : model_(kLimits.vocab, kLimits.kv_pages, kLimits.page_tokens), pause_(pause) {}

  StepResult execute(const StepPlan& plan) override {
    steps.push_back(plan.step);
    std::this_thread::sleep_for(pause_);
    return model_.execute(plan);
  }

  std::vector<uint64_t> steps;

 private:
  fake::Model model_;
  milliseconds pause_;
};

// A job of thread ranks: the front end runs beside the leader. Gives the steps that each rank ran.
template <class FrontEnd>
std::vector<std::vector<uint64_t>> run_job(int ranks, const FrontEnd& front_end, milliseconds pause = {}) {
  std::vector<std::vector<uint64_t>> steps(static_cast<std::size_t>(ranks));
  run_thread_ranks(ranks, [&](Transport& transport) {
    Recorder recorder(pause);
    if (transport.rank() == 0) {
      LocalEngine engine({.vocab = kLimits.vocab}, kLimits, transport.control());
      std::thread front([&] {
        front_end(engine);
        engine.shutdown();
      });
      run_rank_loop(engine.source(), recorder);
      front.join();
    } else {
      run_rank_loop(*make_follower_source(transport.control()), recorder);
    }
    steps[static_cast<std::size_t>(transport.rank())] = recorder.steps;
  });
  return steps;
}

GenerationRequest request(std::vector<int32_t> prompt, int64_t max_tokens) {
  GenerationRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  request.sampling.seed = 7;
  return request;
}

// The events of the engine by request, until each of `unfinished` has finished.
std::map<RequestId, std::vector<EngineEvent>> events_of(Engine& engine, std::size_t unfinished) {
  std::map<RequestId, std::vector<EngineEvent>> events;
  while (unfinished > 0) {
    std::optional<EngineEvent> event = engine.next_event(soon());
    if (!event) {
      ADD_FAILURE() << "no event within the deadline";
      return events;
    }
    unfinished -= event->kind == EngineEvent::Kind::kFinished ? 1 : 0;
    if (event->request != 0) {
      events[event->request].push_back(std::move(*event));
    }
  }
  return events;
}

std::vector<int32_t> tokens_of(const std::vector<EngineEvent>& events) {
  std::vector<int32_t> tokens;
  for (const EngineEvent& event : events) {
    if (event.kind == EngineEvent::Kind::kToken) {
      tokens.push_back(event.token);
    }
  }
  return tokens;
}

TEST(LocalEngine, ManyFrontEndThreadsGetTheTokensOfTheirRequests) {
  constexpr int kThreads = 4;
  constexpr int kEach = 10;
  for (const int ranks : {1, 3}) {
    const auto steps = run_job(ranks, [](Engine& engine) {
      std::mutex mutex;
      std::map<RequestId, GenerationRequest> submitted;
      std::vector<std::thread> threads;
      for (int thread = 0; thread < kThreads; ++thread) {
        threads.emplace_back([&, thread] {
          for (int i = 0; i < kEach; ++i) {
            std::vector<int32_t> prompt(static_cast<std::size_t>(1 + (thread * 7 + i * 5) % 40), thread + i);
            const std::lock_guard lock(mutex);
            const GenerationRequest next = request(std::move(prompt), 1 + (thread + i) % 20);
            submitted[engine.submit(next)] = next;
          }
        });
      }
      const auto events = events_of(engine, kThreads * kEach);
      for (std::thread& thread : threads) {
        thread.join();
      }
      ASSERT_EQ(events.size(), submitted.size());
      for (const auto& [id, of_request] : events) {
        EXPECT_EQ(tokens_of(of_request), fake::answer_alone(submitted.at(id), kLimits).tokens);
        EXPECT_EQ(of_request.back().kind, EngineEvent::Kind::kFinished);
      }
    });
    for (const auto& of_rank : steps) {
      EXPECT_EQ(of_rank, steps[0]);
    }
  }
}

// A rank that runs fewer steps than another leaves it waiting in a collective.
TEST(LocalEngine, AShutdownWithPlansInFlightLeavesNoRankBehind) {
  const auto steps = run_job(
      3,
      [](Engine& engine) {
        for (int i = 0; i < 6; ++i) {
          engine.submit(request(std::vector<int32_t>(30, i), 300));
        }
        for (int i = 0; i < 20; ++i) {
          ASSERT_TRUE(engine.next_event(soon()));
        }
      },
      milliseconds(1));
  ASSERT_GT(steps[0].size(), 3U);
  EXPECT_EQ(steps[1], steps[0]);
  EXPECT_EQ(steps[2], steps[0]);
}

TEST(LocalEngine, AShutdownCancelsWhatRuns) {
  const auto front_end = [](Engine& engine) {
    const RequestId running = engine.submit(request({1, 2, 3}, 300));
    ASSERT_TRUE(engine.next_event(soon()));
    engine.shutdown();
    const auto events = events_of(engine, 1);
    ASSERT_EQ(events.count(running), 1U);
    EXPECT_EQ(events.at(running).back().reason, FinishReason::kCancelled);
    const auto begin = Clock::now();
    EXPECT_FALSE(engine.next_event(begin + std::chrono::seconds(20)));
    EXPECT_LT(Clock::now() - begin, std::chrono::seconds(10)) << "nothing is left to wait for";
  };
  run_job(1, front_end, milliseconds(2));
}

TEST(LocalEngine, ACancelledRequestEndsAndOthersGoOn) {
  const auto front_end = [](Engine& engine) {
    const RequestId cancelled = engine.submit(request({1, 2, 3}, 180));
    const RequestId kept = engine.submit(request({4, 5, 6}, 50));
    ASSERT_TRUE(engine.next_event(soon()));
    engine.cancel(cancelled);
    engine.cancel(9999);
    const auto events = events_of(engine, 2);
    EXPECT_EQ(events.at(cancelled).back().reason, FinishReason::kCancelled);
    EXPECT_EQ(events.at(kept).back().reason, FinishReason::kLength);
    engine.cancel(kept);
    EXPECT_FALSE(engine.next_event(Clock::now() + milliseconds(30)));
  };
  run_job(2, front_end, milliseconds(1));
}

TEST(LocalEngine, TellsWhatItHasComeToBeforeARequestEnds) {
  const auto front_end = [](Engine& engine) {
    EngineStats stats;
    for (int turn = 0; turn < 2; ++turn) {
      engine.submit(request(std::vector<int32_t>(20, 1), 3));
      for (;;) {
        const std::optional<EngineEvent> event = engine.next_event(soon());
        ASSERT_TRUE(event);
        if (event->kind == EngineEvent::Kind::kStats) {
          EXPECT_EQ(event->request, 0U);
          stats = event->stats;
        }
        if (event->kind == EngineEvent::Kind::kFinished) {
          break;
        }
      }
      EXPECT_EQ(stats.running, 0);
      EXPECT_EQ(stats.pages, kLimits.kv_pages);
      EXPECT_EQ(stats.pages_used, 0);
      EXPECT_EQ(stats.prefix_cache_queries, 20 * (turn + 1));
      EXPECT_EQ(stats.prefix_cache_hits, 16 * turn);
    }
  };
  run_job(2, front_end);
}

// Who measures speed may come late for the events.
TEST(LocalEngine, TokensTellWhenTheyWereMade) {
  constexpr milliseconds kStep(5);
  constexpr int kTokens = 10;
  const auto front_end = [&](Engine& engine) {
    engine.submit(request({1, 2, 3}, kTokens));
    std::this_thread::sleep_for(kTokens * 4 * kStep);
    std::vector<Clock::time_point> made;
    for (const auto& [id, events] : events_of(engine, 1)) {
      for (const EngineEvent& event : events) {
        if (event.kind == EngineEvent::Kind::kToken) {
          made.push_back(event.made);
        }
      }
    }
    ASSERT_EQ(made.size(), static_cast<std::size_t>(kTokens));
    EXPECT_GE(made.back() - made.front(), (kTokens - 1) * kStep);
    EXPECT_LE(made.back(), Clock::now());
  };
  run_job(1, front_end, kStep);
}

TEST(LocalEngine, ABadRequestIsRefusedByAnEvent) {
  run_job(1, [](Engine& engine) {
    engine.submit(request({}, 1));
    engine.submit(request({kLimits.vocab}, 1));
    engine.submit(request({-1}, 1));
    engine.submit(request(std::vector<int32_t>(400, 1), 1));
    for (const auto& [id, events] : events_of(engine, 4)) {
      ASSERT_EQ(events.size(), 1U);
      EXPECT_EQ(events[0].reason, FinishReason::kError);
      EXPECT_FALSE(events[0].error.empty());
    }
  });
}

TEST(LocalEngine, GrammarsHoldAndBadOnesAreRefusedByAnEvent) {
  const auto load = [] {
    std::vector<std::string> bytes;
    for (int i = 0; i < kLimits.vocab; ++i) bytes.emplace_back(1, static_cast<char>('0' + i));
    return std::make_shared<const TokenTrie>(std::move(bytes));
  };
  const std::unique_ptr<Transport> transport = make_self_transport();
  LocalEngine engine({.vocab = kLimits.vocab}, kLimits, transport->control(), load);
  std::thread front([&] {
    GenerationRequest guided = request({1, 2}, 30);
    guided.grammar = {GrammarSpec::Kind::kRegex, "[0-4]{3}(55)?"};
    const RequestId good = engine.submit(guided);
    guided.grammar.text = "(";
    const RequestId bad = engine.submit(guided);
    guided.grammar = {GrammarSpec::Kind::kRegex, "[0-4]{3}"};
    guided.output = {7};
    const RequestId unlike = engine.submit(guided);
    const auto events = events_of(engine, 3);
    const std::vector<int32_t> tokens = tokens_of(events.at(good));
    EXPECT_TRUE(tokens.size() == 3 || tokens.size() == 5);
    for (std::size_t i = 0; i < tokens.size(); ++i) EXPECT_TRUE(i < 3 ? tokens[i] < 5 : tokens[i] == 5);
    EXPECT_EQ(events.at(bad).back().reason, FinishReason::kError);
    EXPECT_NE(events.at(bad).back().error.find("has no )"), std::string::npos);
    EXPECT_EQ(events.at(unlike).back().reason, FinishReason::kError);
    engine.shutdown();
  });
  Recorder recorder;
  run_rank_loop(engine.source(), recorder);
  front.join();
}

TEST(LocalEngine, OthersGoOnWhileAGrammarIsPrepared) {
  std::promise<void> may_load;
  const auto load = [&] {
    may_load.get_future().wait();
    return std::make_shared<const TokenTrie>(std::vector<std::string>(static_cast<std::size_t>(kLimits.vocab), "a"));
  };
  const std::unique_ptr<Transport> transport = make_self_transport();
  LocalEngine engine({.vocab = kLimits.vocab}, kLimits, transport->control(), load);
  std::thread front([&] {
    GenerationRequest guided = request({1, 2}, 3);
    guided.grammar = {GrammarSpec::Kind::kRegex, "a{9}"};
    const RequestId first = engine.submit(guided);
    const RequestId second = engine.submit(guided);
    const RequestId third = engine.submit(guided);
    const RequestId plain = engine.submit(request({1, 2}, 3));
    EXPECT_EQ(tokens_of(events_of(engine, 1).at(plain)).size(), 3U);
    engine.cancel(first);
    engine.cancel(second);
    may_load.set_value();
    const auto events = events_of(engine, 3);
    for (const RequestId cancelled : {first, second}) {
      ASSERT_EQ(events.at(cancelled).size(), 1U);
      EXPECT_EQ(events.at(cancelled)[0].reason, FinishReason::kCancelled);
    }
    EXPECT_EQ(tokens_of(events.at(third)).size(), 3U);
    engine.shutdown();
  });
  Recorder recorder;
  run_rank_loop(engine.source(), recorder);
  front.join();
}

class WithoutMemory : public StepExecutor {
 public:
  StepResult execute(const StepPlan&) override { throw std::bad_alloc(); }
};

// An Error, which ends a job in order on every rank.
TEST(RankLoop, SaysThatMemoryRanOut) {
  const std::unique_ptr<Transport> transport = make_self_transport();
  LocalEngine engine({.vocab = kLimits.vocab}, kLimits, transport->control());
  engine.submit(request({1, 2}, 3));
  WithoutMemory executor;
  try {
    run_rank_loop(engine.source(), executor);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kDoesNotFit);
    EXPECT_NE(error.cause().find("memory"), std::string::npos) << error.cause();
    engine.fail(error);
  }
}

TEST(LocalEngine, NextEventGivesNothingAtItsDeadline) {
  run_job(1, [](Engine& engine) {
    const auto start = Clock::now();
    EXPECT_FALSE(engine.next_event(start + milliseconds(20)));
    EXPECT_GE(Clock::now() - start, milliseconds(20));
  });
}

TEST(LocalEngine, ALostJobIsThrownOnceItsLastEventsAreTaken) {
  const std::unique_ptr<Transport> transport = make_self_transport();
  LocalEngine engine({}, kLimits, transport->control());
  auto waiting = std::async(std::launch::async, [&] { return engine.next_event(soon()); });
  engine.fail(Error(ErrorKind::kRank, "rank 3 was killed"));
  EXPECT_THROW(waiting.get(), Error);
  try {
    engine.next_event(soon());
    FAIL() << "the failure was forgotten";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kRank);
    EXPECT_EQ(error.cause(), "rank 3 was killed");
  }
}

TEST(LocalEngine, AnIdleLeaderBurnsNoCore) {
  run_job(1, [](Engine& engine) {
    const auto cpu_us = [] {
      rusage usage{};
      getrusage(RUSAGE_SELF, &usage);
      return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1'000'000 + usage.ru_utime.tv_usec +
             usage.ru_stime.tv_usec;
    };
    engine.submit(request({1}, 1));
    events_of(engine, 1);
    const auto before = cpu_us();
    std::this_thread::sleep_for(milliseconds(300));
    EXPECT_LT(cpu_us() - before, 100'000);
  });
}

}  // namespace
}  // namespace longship
