// Guesses of a draft model, which runs on pages of its own with the same numbers.
#include <gtest/gtest.h>

#include "engine/sample/grammar/guides.h"
#include "tests/unit/schedule/runner.h"

namespace longship::fake {
namespace {

constexpr SchedulerLimits kPlain = {.vocab = 40,
                                    .max_model_len = 400,
                                    .max_num_seqs = 4,
                                    .max_batched_tokens = 32,
                                    .max_logit_rows = 32,
                                    .kv_pages = 200,
                                    .page_tokens = 4,
                                    .window = 1};

SchedulerLimits drafting(int window = 1, int64_t tokens = 4) {
  SchedulerLimits limits = kPlain;
  limits.window = window;
  limits.draft_tokens = tokens;
  return limits;
}

GenerationRequest request(double temperature, int64_t max_tokens, uint64_t seed = 3) {
  GenerationRequest request;
  request.prompt = {1, 2, 3, 4, 5, 6, 7, 8, static_cast<int32_t>(9 + seed)};
  request.max_tokens = max_tokens;
  request.sampling.temperature = temperature;
  request.sampling.seed = seed;
  return request;
}

double accepted_part(Runner& runner) {
  const EngineStats stats = runner.scheduler().stats();
  return static_cast<double>(stats.accepted_tokens) / static_cast<double>(std::max<int64_t>(1, stats.draft_tokens));
}

TEST(DraftModel, TheTokensAreThoseOfTheTargetAlone) {
  for (const uint64_t salt : {0, 1, 2}) {
    for (const int window : {1, 2, 3}) {
      for (const double temperature : {0.0, 0.7}) {
        Runner runner(drafting(window), salt);
        std::vector<std::pair<RequestId, GenerationRequest>> all;
        for (uint64_t seed = 0; seed < 7; ++seed) {
          GenerationRequest one = request(temperature, 90, seed);
          one.sampling.repetition_penalty = seed % 2 == 0 ? 1.0 : 1.01;
          all.emplace_back(runner.submit(one), one);
        }
        runner.run();
        int64_t tokens = 0;
        for (const auto& [id, one] : all) {
          EXPECT_EQ(runner.report(id).tokens, answer_alone(one, kPlain).tokens) << salt << " " << window;
          const Report& report = runner.report(id);
          tokens += std::ssize(one.prompt) - report.cached_tokens + std::ssize(report.tokens);
        }
        EXPECT_GT(runner.scheduler().stats().accepted_tokens, 100);
        EXPECT_EQ(runner.scheduler().stats().steps.tokens, tokens);
        EXPECT_EQ(runner.scheduler().free_pages(), kPlain.kv_pages);
      }
    }
  }
}

// Every guess is right: also at a temperature, as the draft model draws the numbers that the target draws.
TEST(DraftModel, OneThatEqualsTheTargetIsAlwaysRight) {
  for (const double temperature : {0.0, 1.0}) {
    Runner runner(drafting());
    const Report report = runner.run_alone(request(temperature, 101));
    EXPECT_EQ(report.tokens.size(), 101U);
    EXPECT_EQ(accepted_part(runner), 1.0) << temperature;
    const int64_t target_steps = runner.steps() - runner.draft_steps();
    EXPECT_LE(target_steps, 2 + 101 / 5) << "four guesses and a token of its own in each step of the target";
  }
}

// A prompt of which a part is found in the cache, for both models.
TEST(DraftModel, SharedPagesHoldWhatTheDraftModelNeeds) {
  Runner runner(drafting());
  GenerationRequest first = request(1, 60);
  const Report one = runner.run_alone(first);
  GenerationRequest next = first;
  next.prompt.insert(next.prompt.end(), one.tokens.begin(), one.tokens.end());
  const Report two = runner.run_alone(next);
  EXPECT_GE(two.cached_tokens, 60);
  EXPECT_EQ(two.tokens, answer_alone(next, kPlain).tokens);
  EXPECT_EQ(accepted_part(runner), 1.0);
}

TEST(DraftModel, WrongGuessesCostLittle) {
  Runner runner(drafting(), 5);
  runner.run_alone(request(5, 300));  // near to uniform
  EXPECT_LT(runner.scheduler().stats().draft_tokens, 150);
}

// Requests that are preempted are computed again, for both models.
TEST(DraftModel, PreemptionChangesNoToken) {
  for (const int window : {1, 2}) {
    SchedulerLimits limits = drafting(window);
    limits.kv_pages = 30;
    limits.max_model_len = 100;
    Runner runner(limits, 1);
    std::vector<std::pair<RequestId, GenerationRequest>> all;
    for (uint64_t seed = 0; seed < 6; ++seed) {
      all.emplace_back(runner.submit(request(0.5, 70, seed)), request(0.5, 70, seed));
    }
    runner.run();
    EXPECT_GT(runner.preemptions(), 0);
    for (const auto& [id, one] : all) {
      EXPECT_EQ(runner.report(id).tokens, answer_alone(one, limits).tokens);
    }
    EXPECT_EQ(runner.scheduler().free_pages(), limits.kv_pages);
  }
}

TEST(DraftModel, ACancelledRequestGivesAllItsPagesBack) {
  for (int steps = 1; steps < 20; ++steps) {
    Runner runner(drafting(2));
    const RequestId id = runner.submit(request(0, 300));
    const RequestId other = runner.submit(request(0, 40, 4));
    for (int i = 0; i < steps; ++i) {
      ASSERT_TRUE(runner.step());
    }
    runner.fill();
    runner.cancel(id);
    runner.run();
    EXPECT_EQ(runner.scheduler().free_pages(), kPlain.kv_pages);
    EXPECT_EQ(runner.report(other).tokens, answer_alone(request(0, 40, 4), kPlain).tokens);
  }
}

TEST(DraftModel, StopsAndLengthsHold) {
  for (int64_t tokens = 1; tokens < 30; ++tokens) {
    Runner runner(drafting());
    EXPECT_EQ(std::ssize(runner.run_alone(request(0, tokens)).tokens), tokens);
  }
  const std::vector<int32_t> tokens = Runner(kPlain).run_alone(request(0, 150)).tokens;
  for (const int32_t stop : {tokens[20], tokens[21], tokens[60]}) {
    GenerationRequest stopped = request(0, 150);
    stopped.stop_ids = {stop};
    stopped.min_tokens = 30;
    const Report expected = Runner(kPlain).run_alone(stopped);
    const Report report = Runner(drafting()).run_alone(stopped);
    EXPECT_EQ(report.tokens, expected.tokens);
    EXPECT_EQ(report.reason, expected.reason);
  }
}

TEST(DraftModel, GuessesKeepToTheGrammar) {
  Guides guides([] {
    std::vector<std::string> bytes;
    for (char letter = 'a'; letter <= 'z'; ++letter) bytes.emplace_back(1, letter);
    for (char digit = '0'; digit <= '9'; ++digit) bytes.emplace_back(1, digit);
    bytes.insert(bytes.end(), {"ab", "-", "", ""});
    return std::make_shared<const TokenTrie>(bytes);
  });
  Runner plain(kPlain);
  Runner runner(drafting());
  for (const char* pattern : {"(abc-[0-9])+z", "[a-c]{2,9}-[0-9]{3}", "(x[0-9]x){5}"}) {
    for (uint64_t seed = 0; seed < 10; ++seed) {
      GenerationRequest guided = request(seed % 2 == 0 ? 0 : 0.7, 60, seed);
      guided.stop_ids = {39};
      guided.grammar = {GrammarSpec::Kind::kRegex, pattern};
      std::vector<Report> reports;
      for (Runner* one : {&plain, &runner}) {
        const RequestId id = one->submit(guided, guides.make(guided.grammar, {}));
        one->run();
        reports.push_back(one->report(id));
      }
      EXPECT_EQ(reports[1].tokens, reports[0].tokens) << pattern;
      EXPECT_EQ(reports[1].reason, reports[0].reason) << pattern;
    }
  }
  EXPECT_EQ(accepted_part(runner), 1.0);
  EXPECT_EQ(runner.scheduler().free_pages(), kPlain.kv_pages);
}

}  // namespace
}  // namespace longship::fake
