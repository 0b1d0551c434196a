#include "launcher/server/logprobs_json.h"

#include <gtest/gtest.h>

#include "tests/unit/server/model.h"

namespace longship {
namespace {

// Tokens that are one byte, of which no text begins.
std::vector<int32_t> partial_tokens(std::size_t count) {
  const Tokenizer& tokenizer = *test_model().tokenizer;
  std::vector<int32_t> ids;
  for (int32_t id = 0; id < tokenizer.vocab_size() && ids.size() < count; ++id) {
    const std::string_view bytes = tokenizer.bytes_of(id);
    if (bytes.size() == 1 && static_cast<unsigned char>(bytes[0]) >= 0x80) {
      ids.push_back(id);
    }
  }
  return ids;
}

TEST(LogprobsJson, APartOfACharacterIsReplacedAndItsByteTold) {
  const std::vector<int32_t> ids = partial_tokens(1);
  const TokenRow row{.token = ids[0], .logprob = -0.5F, .top = {{ids[0], -0.5F}}};
  const Json json = LogprobsJson(test_model().tokenizer, false).of_chat({&row, 1});
  const Json& entry = json.find("content")->as_array()[0];
  EXPECT_EQ(*entry.find("token"), Json("\xEF\xBF\xBD"));
  EXPECT_GE(entry.find("bytes")->as_array().at(0).as_int(), 0x80);
  EXPECT_EQ(entry.find("top_logprobs")->as_array().size(), 1U);
  EXPECT_EQ(*json.find("refusal"), Json());
}

TEST(LogprobsJson, OfTokensWithOneTextTheMostProbableStands) {
  const std::vector<int32_t> ids = partial_tokens(3);
  const TokenRow row{.token = ids[2], .logprob = -3.0F, .top = {{ids[0], -0.5F}, {ids[1], -1.0F}}};
  const Json json = LogprobsJson(test_model().tokenizer, false).of_text({&row, 1});
  const Json& top = json.find("top_logprobs")->as_array()[0];
  ASSERT_EQ(top.as_object().size(), 1U);
  EXPECT_EQ(*top.find("\xEF\xBF\xBD"), Json(-0.5));
  const Json as_ids = LogprobsJson(test_model().tokenizer, true).of_text({&row, 1});
  EXPECT_EQ(as_ids.find("top_logprobs")->as_array()[0].as_object().size(), 3U) << "the chosen token stands there too";
  EXPECT_EQ(as_ids.find("tokens")->as_array()[0], Json("token_id:" + std::to_string(ids[2])));
}

TEST(LogprobsJson, NothingIsBelowTheFloorAndTheFirstOfAPromptIsNull) {
  const TokenRow rows[] = {{.token = 1}, {.token = 2, .logprob = -std::numeric_limits<float>::infinity()}};
  const Json json = LogprobsJson(test_model().tokenizer, false).of_text(rows);
  EXPECT_EQ(*json.find("token_logprobs"), Json(Json::Array{Json(), Json(-9999.0)}));
  EXPECT_TRUE(json.find("top_logprobs")->as_array()[0].is_null());
  EXPECT_TRUE(LogprobsJson(test_model().tokenizer, false).of_text({}).is_null());
}

TEST(LogprobsJson, OfAPromptEachTokenHasItsRank) {
  const std::vector<int32_t> prompt = {1, 2, 3};
  const std::vector<PositionLogprobs> positions = {{-1, 1, {{2, -1}}}, {-5, 9, {{7, -1}, {8, -2}}}};
  const Json json = LogprobsJson(test_model().tokenizer, false).of_prompt(prompt, positions);
  ASSERT_EQ(json.as_array().size(), 3U);
  EXPECT_TRUE(json.as_array()[0].is_null());
  EXPECT_EQ(json.as_array()[1].as_object().size(), 1U);
  const Json& last = json.as_array()[2];
  ASSERT_EQ(last.as_object().size(), 3U);
  EXPECT_EQ(last.as_object()[0].first, "3");
  EXPECT_EQ(*last.find("3")->find("rank"), Json(9));
  EXPECT_EQ(*last.find("8")->find("rank"), Json(2));
  EXPECT_TRUE(last.find("8")->find("decoded_token")->is_string());
}

}  // namespace
}  // namespace longship
