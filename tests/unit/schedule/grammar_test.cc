// Requests with a grammar on their way through the scheduler.
#include "tests/unit/schedule/runner.h"

#include "engine/sample/grammar/guides.h"

namespace longship::fake {
namespace {

constexpr SchedulerLimits kLimits = {.vocab = 40,
                                     .max_model_len = 200,
                                     .max_num_seqs = 4,
                                     .max_batched_tokens = 16,
                                     .max_logit_rows = 16,
                                     .kv_pages = 24,
                                     .page_tokens = 8,
                                     .window = 2};
constexpr int32_t kEnd = 39;

// Tokens 0 to 25 are letters, 26 to 35 digits, 36 "ab", 37 "-", 38 a control token, 39 the end.
std::vector<std::string> token_bytes() {
  std::vector<std::string> bytes;
  for (char letter = 'a'; letter <= 'z'; ++letter) bytes.emplace_back(1, letter);
  for (char digit = '0'; digit <= '9'; ++digit) bytes.emplace_back(1, digit);
  bytes.insert(bytes.end(), {"ab", "-", "", ""});
  return bytes;
}

Guides& guides() {
  static Guides all([] { return std::make_shared<const TokenTrie>(token_bytes()); });
  return all;
}

GenerationRequest request(const std::string& pattern, uint64_t seed) {
  GenerationRequest request;
  request.prompt = {1, 2, 3};
  request.max_tokens = 60;
  request.stop_ids = {kEnd};
  request.sampling.seed = seed;
  request.grammar = {GrammarSpec::Kind::kRegex, pattern};
  return request;
}

// As the engine submits it.
Report generate(const GenerationRequest& request) {
  Runner runner(kLimits);
  const RequestId id = runner.submit(request, guides().make(request.grammar, request.output));
  runner.run();
  return runner.report(id);
}

std::string text_of(const std::vector<int32_t>& tokens) {
  std::string text;
  for (const int32_t token : tokens) text += token_bytes()[static_cast<std::size_t>(token)];
  return text;
}

bool matches(const std::string& pattern, const std::string& text) {
  const auto automaton = compile_grammar({GrammarSpec::Kind::kRegex, pattern});
  return automaton->advance(automaton->start(), text).may_end;
}

TEST(SchedulerGrammar, EveryTextThatEndsIsOneOfTheGrammars) {
  for (const char* pattern : {"[a-c]{2,9}-[0-9]{3}", "(ab|-)*z", "[0-9]+"}) {
    for (uint64_t seed = 0; seed < 50; ++seed) {
      GenerationRequest asked = request(pattern, seed);
      asked.sampling.temperature = seed % 3 == 0 ? 0 : 1.5;
      asked.sampling.top_k = seed % 5 == 0 ? 2 : 0;
      asked.sampling.frequency_penalty = seed % 2 == 0 ? 1 : 0;
      asked.sampling.logit_bias = {{kEnd, 10.0F}, {38, 100.0F}};
      const Report report = generate(asked);
      ASSERT_EQ(report.reason, FinishReason::kStop) << report.error;
      EXPECT_TRUE(matches(pattern, text_of(report.tokens))) << text_of(report.tokens);
    }
  }
}

TEST(SchedulerGrammar, WhereNothingCanFollowTheRequestEnds) {
  GenerationRequest asked = request("[a-z]{4}", 5);
  asked.stop_ids = {};  // as with ignore_eos
  const Report report = generate(asked);
  EXPECT_EQ(report.reason, FinishReason::kStop);
  EXPECT_EQ(text_of(report.tokens).size(), 4U);
}

TEST(SchedulerGrammar, MinTokensAndMaxTokensHold) {
  GenerationRequest asked = request("a*b*", 5);
  asked.sampling.logit_bias = {{kEnd, 100.0F}};
  asked.min_tokens = 7;
  EXPECT_EQ(generate(asked).tokens.size(), 7U);
  asked.min_tokens = 0;
  asked.sampling.logit_bias = {{kEnd, -100.0F}};
  asked.max_tokens = 9;
  const Report report = generate(asked);
  EXPECT_EQ(report.tokens.size(), 9U);
  EXPECT_EQ(report.reason, FinishReason::kLength);
}

TEST(SchedulerGrammar, AResumedRequestGoesOnWithTheSameTokens) {
  const GenerationRequest asked = request("([a-f]{3}[0-9]-)+z", 11);
  const Report whole = generate(asked);
  for (std::size_t done = 0; done <= whole.tokens.size(); ++done) {
    GenerationRequest resumed = asked;
    resumed.output.assign(whole.tokens.begin(), whole.tokens.begin() + static_cast<std::ptrdiff_t>(done));
    const Report rest = generate(resumed);
    std::vector<int32_t> tokens = resumed.output;
    tokens.insert(tokens.end(), rest.tokens.begin(), rest.tokens.end());
    EXPECT_EQ(tokens, whole.tokens);
    EXPECT_EQ(rest.reason, whole.reason);
  }
}

TEST(SchedulerGrammar, AVocabularyThatCannotGoOnIsAnError) {
  const Report report = generate(request("ab[A-Z]", 1));
  EXPECT_EQ(report.reason, FinishReason::kError);
  EXPECT_NE(report.error.find("no token of the vocabulary"), std::string::npos) << report.error;
}

TEST(SchedulerGrammar, AnAmbiguousGrammarEndsItsOwnRequestOnly) {
  Runner runner(kLimits);
  GenerationRequest hostile = request("(((a{1,1000}){1,1000}){1,1000}){1,1000}", 1);
  hostile.sampling.logit_bias = {{kEnd, -100.0F}};
  hostile.max_tokens = 190;
  const GenerationRequest plain = request("[a-c]{20}", 1);
  const RequestId bad = runner.submit(hostile, guides().make(hostile.grammar, {}));
  const RequestId good = runner.submit(plain, guides().make(plain.grammar, {}));
  runner.run();
  EXPECT_EQ(runner.report(bad).reason, FinishReason::kError);
  EXPECT_NE(runner.report(bad).error.find("ambiguous"), std::string::npos) << runner.report(bad).error;
  EXPECT_EQ(runner.report(good).reason, FinishReason::kStop);
}

}  // namespace
}  // namespace longship::fake
