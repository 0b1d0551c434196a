#include "launcher/server/choice.h"

#include <gtest/gtest.h>

#include "tests/unit/server/model.h"

namespace longship {
namespace {

std::vector<int32_t> tokens_of(const std::string& text) {
  return test_model().tokenizer->encode(text, {.add_special = false, .parse_special = false});
}

// The ids of single bytes.
std::vector<int32_t> bytes_of(const std::string& text) {
  std::vector<int32_t> ids;
  for (const char byte : text) {
    for (int32_t id = 0; id < test_model().tokenizer->vocab_size(); ++id) {
      if (test_model().tokenizer->bytes_of(id) == std::string(1, byte)) {
        ids.push_back(id);
        break;
      }
    }
  }
  return ids;
}

EngineEvent token(int32_t id, float logprob = -1) {
  EngineEvent event;
  event.token = id;
  event.logprob = logprob;
  return event;
}

std::string all_of(Choice& choice, const std::vector<int32_t>& ids) {
  std::string text;
  for (const int32_t id : ids) {
    text += choice.push(token(id));
  }
  return text + choice.flush();
}

TEST(Choice, EndsBeforeAStopStringThatIsInSeveralTokens) {
  Choice choice(test_model().tokenizer, {.stops = {"é!"}});
  const std::vector<int32_t> ids = bytes_of("aé!b");
  ASSERT_EQ(ids.size(), 5U);
  EXPECT_EQ(all_of(choice, ids), "a");
  EXPECT_TRUE(choice.stopped());
  EXPECT_EQ(choice.stop(), "é!");
}

TEST(Choice, MayShowTheStopString) {
  Choice choice(test_model().tokenizer, {.stops = {"!"}, .show_stop = true});
  EXPECT_EQ(all_of(choice, bytes_of("ab!c")), "ab!");
}

TEST(Choice, ACharacterThatIsCutOffIsReplaced) {
  Choice choice(test_model().tokenizer, {.stops = {"x"}});
  EXPECT_EQ(all_of(choice, bytes_of("a\xf0\x9f")), "a\xEF\xBF\xBD");
}

TEST(Choice, NoStopStringCountsWithinTheLeastTokens) {
  Choice choice(test_model().tokenizer, {.stops = {"b"}, .min_tokens = 3});
  EXPECT_EQ(all_of(choice, bytes_of("abcdbe")), "abcd");
  EXPECT_EQ(choice.tokens(), 6);
}

TEST(Choice, RowsTellWhereInTheTextATokenBegins) {
  Choice choice(test_model().tokenizer, {.keep_rows = true});
  choice.begin_with("né", {});
  all_of(choice, bytes_of("aé!"));
  std::vector<int64_t> offsets;
  for (const TokenRow& row : choice.take_rows()) {
    offsets.push_back(row.text_offset);
  }
  EXPECT_EQ(offsets, (std::vector<int64_t>{2, 3, 3, 4}));
  EXPECT_FALSE(choice.has_rows());
}

TEST(Choice, TheTokenThatEndsItHasARowAndNoText) {
  Choice choice(test_model().tokenizer, {.keep_rows = true});
  const std::string text = all_of(choice, tokens_of("a"));
  choice.count(token(1, -2));
  EXPECT_EQ(choice.tokens(), 2);
  const std::vector<TokenRow> rows = choice.take_rows();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[1].token, 1);
  EXPECT_EQ(rows[1].logprob, -2.0F);
  EXPECT_EQ(rows[1].text_offset, std::ssize(text));
}

TEST(Choice, KnowsTheMeanLogprob) {
  Choice choice(test_model().tokenizer, {});
  EXPECT_EQ(choice.mean_logprob(), 0);
  choice.push(token(tokens_of("a")[0], -1));
  choice.push(token(tokens_of("a")[0], -4));
  EXPECT_EQ(choice.mean_logprob(), -2.5);
}

TEST(PromptRows, BeginWithATokenOfNoLogprob) {
  const std::vector<int32_t> prompt = bytes_of("aé");
  const std::vector<PositionLogprobs> positions = {{-1, 1, {{1, -1}, {2, -2}}}, {-2, 5, {{1, -1}, {2, -2}}}};
  const std::vector<TokenRow> rows = prompt_rows(Detokenizer(test_model().tokenizer), prompt, positions, 1);
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_FALSE(rows[0].logprob.has_value());
  EXPECT_EQ(rows[2].logprob, -2.0F);
  EXPECT_EQ(rows[2].top.size(), 1U);
  EXPECT_EQ(rows[2].text_offset, 1);
}

}  // namespace
}  // namespace longship
