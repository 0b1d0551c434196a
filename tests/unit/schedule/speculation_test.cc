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

SchedulerLimits guessing(PromptLookup lookup = {.draft_tokens = 5, .most_match = 3, .least_match = 1}) {
  SchedulerLimits limits = kPlain;
  limits.lookup = lookup;
  return limits;
}

GenerationRequest request(double temperature, int64_t max_tokens, uint64_t seed = 3) {
  GenerationRequest request;
  request.prompt = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  request.max_tokens = max_tokens;
  request.sampling.temperature = temperature;
  request.sampling.seed = seed;
  return request;
}

std::vector<int32_t> find(const std::vector<int32_t>& tokens, int64_t most_match, int64_t least_match,
                          int64_t most = 100) {
  return look_up(tokens, {.draft_tokens = 9, .most_match = most_match, .least_match = least_match}, most);
}

TEST(LookUp, FindsWhatStoodBehindTheLastTokens) {
  using Tokens = std::vector<int32_t>;
  EXPECT_EQ(find({1, 2, 3, 4, 5, 1, 2}, 2, 1), (Tokens{3, 4, 5, 1, 2}));
  EXPECT_EQ(find({1, 2, 3, 4, 5, 1, 2}, 2, 1, 2), (Tokens{3, 4}));
  EXPECT_EQ(find({1, 2, 3, 4, 9, 2, 7, 1, 2}, 2, 1), (Tokens{3, 4, 9, 2, 7, 1, 2})) << "the longest match";
  EXPECT_EQ(find({1, 2, 3, 1, 2, 4, 1, 2}, 2, 1), (Tokens{4, 1, 2})) << "the latest of equals";
  EXPECT_EQ(find({1, 2, 3, 9, 2}, 2, 2), Tokens{}) << "a match that is too short";
  EXPECT_EQ(find({1, 2, 3}, 3, 1), Tokens{});
  EXPECT_EQ(find({7, 7, 7}, 5, 2), (Tokens{7}));
  EXPECT_EQ(find({7}, 5, 1), Tokens{});
  EXPECT_EQ(find({}, 5, 1), Tokens{});
}

TEST(DraftLength, ShrinksWithWrongGuessesAndPauses) {
  DraftLength length(8);
  EXPECT_EQ(length.tokens(), 8);
  length.verified(8, 0);
  EXPECT_EQ(length.tokens(), 4);
  length.verified(4, 3);
  EXPECT_EQ(length.tokens(), 3);
  length.verified(3, 3);
  EXPECT_EQ(length.tokens(), 6);
  length.verified(6, 6);
  EXPECT_EQ(length.tokens(), 8);
  int64_t guessed = 0;
  for (int token = 0; token < 1000; ++token) {
    if (const int64_t tokens = length.tokens(); tokens > 0) {
      guessed += tokens;
      length.verified(tokens, 0);
    } else {
      length.passed();
    }
  }
  EXPECT_LT(guessed, 30) << "of a thousand tokens whose guesses are wrong";
}

TEST(Speculation, TheTokensAreThoseOfOneAtATime) {
  for (const double temperature : {0.0, 0.3, 0.7}) {
    for (const int window : {1, 2, 3}) {
      SchedulerLimits limits = guessing();
      limits.window = window;
      Runner runner(limits);
      std::vector<std::pair<RequestId, GenerationRequest>> all;
      for (uint64_t seed = 0; seed < 6; ++seed) {
        GenerationRequest one = request(temperature, 120, seed);
        one.sampling.repetition_penalty = seed % 2 == 0 ? 1.0 : 1.01;
        all.emplace_back(runner.submit(one), one);
      }
      runner.run();
      for (const auto& [id, one] : all) {
        EXPECT_EQ(runner.report(id).tokens, answer_alone(one, limits).tokens) << temperature;
      }
      EXPECT_GT(runner.scheduler().stats().accepted_tokens, 20) << temperature;
      EXPECT_LE(runner.scheduler().stats().accepted_tokens, runner.scheduler().stats().draft_tokens);
      EXPECT_EQ(runner.scheduler().free_pages(), limits.kv_pages);
    }
  }
}

TEST(Speculation, RightGuessesSaveSteps) {
  Runner plain(kPlain);
  plain.run_alone(request(0, 200));
  Runner runner(guessing());
  runner.run_alone(request(0, 200));
  const EngineStats stats = runner.scheduler().stats();
  EXPECT_EQ(runner.steps(), plain.steps() - stats.accepted_tokens);
  EXPECT_LT(runner.steps(), plain.steps() * 4 / 5);
}

TEST(Speculation, NoMoreIsGeneratedThanAskedFor) {
  for (int64_t tokens = 1; tokens < 60; ++tokens) {
    Runner runner(guessing());
    EXPECT_EQ(static_cast<int64_t>(runner.run_alone(request(0, tokens)).tokens.size()), tokens);
  }
  SchedulerLimits short_pool = guessing();
  short_pool.kv_pages = 6;
  Runner runner(short_pool);
  const Report report = runner.run_alone(request(0, 1000));
  EXPECT_EQ(report.tokens, answer_alone(request(0, 1000), short_pool).tokens);
  EXPECT_EQ(report.tokens.size(), 24U - 9U);
}

TEST(Speculation, AStopTokenAmongTheGuessesEndsTheRequest) {
  const std::vector<int32_t> tokens = Runner(kPlain).run_alone(request(0, 150)).tokens;
  for (const int32_t stop : {tokens[30], tokens[31], tokens[60], tokens[90]}) {
    GenerationRequest stopped = request(0, 150);
    stopped.stop_ids = {stop};
    stopped.min_tokens = 40;
    const Report expected = Runner(kPlain).run_alone(stopped);
    const Report report = Runner(guessing()).run_alone(stopped);
    EXPECT_EQ(report.tokens, expected.tokens);
    EXPECT_EQ(report.reason, expected.reason);
  }
}

// What was guessed wrongly stands in pages, but no other request may find it there.
TEST(Speculation, OnlyWhatWasGeneratedIsSharedWithOthers) {
  Runner runner(guessing());
  const GenerationRequest first = request(0.5, 100);
  const Report one = runner.run_alone(first);
  ASSERT_GT(runner.scheduler().stats().draft_tokens, runner.scheduler().stats().accepted_tokens);
  GenerationRequest next = first;
  next.prompt.insert(next.prompt.end(), one.tokens.begin(), one.tokens.end());
  const Report two = runner.run_alone(next);
  EXPECT_GE(two.cached_tokens, 100);
  EXPECT_EQ(two.tokens, answer_alone(next, kPlain).tokens);
}

TEST(Speculation, WrongGuessesCostLittle) {
  Runner runner(guessing());
  GenerationRequest hot = request(5, 300);  // near to uniform
  runner.run_alone(hot);
  EXPECT_LT(runner.scheduler().stats().draft_tokens, 100);
}

// Each guess is held against the grammar behind those before it.
TEST(Speculation, GuessesAreHeldAgainstTheGrammar) {
  Guides guides([] {
    std::vector<std::string> bytes;
    for (char letter = 'a'; letter <= 'z'; ++letter) bytes.emplace_back(1, letter);
    for (char digit = '0'; digit <= '9'; ++digit) bytes.emplace_back(1, digit);
    bytes.insert(bytes.end(), {"ab", "-", "", ""});
    return std::make_shared<const TokenTrie>(bytes);
  });
  const auto generate = [&](Runner& runner, const GenerationRequest& request) {
    const RequestId id = runner.submit(request, guides.make(request.grammar, {}));
    runner.run();
    return runner.report(id);
  };
  Runner plain(kPlain);
  Runner runner(guessing());
  for (const char* pattern : {"(abc-[0-9])+z", "[a-c]{2,9}-[0-9]{3}", "(ab|-)*z", "(x[0-9]x){5}"}) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      GenerationRequest guided = request(seed % 2 == 0 ? 0 : 0.7, 60, seed);
      guided.stop_ids = {39};
      guided.grammar = {GrammarSpec::Kind::kRegex, pattern};
      const Report expected = generate(plain, guided);
      const Report report = generate(runner, guided);
      EXPECT_EQ(report.tokens, expected.tokens) << pattern;
      EXPECT_EQ(report.reason, expected.reason) << pattern;
    }
  }
  EXPECT_GT(runner.scheduler().stats().accepted_tokens, 50);
  EXPECT_EQ(runner.scheduler().free_pages(), kPlain.kv_pages);
}

TEST(Speculation, ACancelledRequestGivesAllItsPagesBack) {
  Runner runner(guessing());
  const RequestId id = runner.submit(request(0, 300));
  while (runner.scheduler().stats().accepted_tokens == 0) {
    ASSERT_TRUE(runner.step());
  }
  runner.fill();
  runner.cancel(id);
  EXPECT_EQ(runner.scheduler().free_pages(), kPlain.kv_pages);
  runner.run();
}

}  // namespace
}  // namespace longship::fake
