#include "launcher/server/completion_request.h"

#include <gtest/gtest.h>

#include "launcher/server/api_error.h"
#include "tests/unit/server/model.h"

namespace longship {
namespace {

const CompletionParser& parser() {
  static const CompletionParser parser(test_model(),
                                       {.vocab = test_model().tokenizer->vocab_size(), .max_model_len = 100}, {"ship"});
  return parser;
}

CompletionRequest parsed(const std::string& members, bool chat = false) {
  const std::string prompt =
      chat ? R"("messages":[{"role":"user","content":"Sail"}])" : R"("prompt":"The ship sails.")";
  return parser().parse(Fields(std::get<Json>(parse_json("{" + prompt + members + "}"))), chat);
}

// The field that is refused; empty if none is.
std::string refused(const std::string& members, bool chat = false) {
  try {
    parsed(members, chat);
    return {};
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status, 400);
    EXPECT_FALSE(error.message.empty());
    return error.param;
  }
}

TEST(CompletionRequest, AnAbsentLimitIsUsualAndANullOneIsNone) {
  EXPECT_EQ(parsed("").generation.max_tokens, 16);
  EXPECT_GT(parsed(R"(,"max_tokens":null)").generation.max_tokens, 1 << 30);
  EXPECT_GT(parsed("", true).generation.max_tokens, 1 << 30);
  EXPECT_EQ(parsed(R"(,"max_tokens":5,"max_completion_tokens":7)", true).generation.max_tokens, 7);
}

TEST(CompletionRequest, AnAdapterIsAModelOfItsOwn) {
  const CompletionParser adapted(test_model(), {.vocab = test_model().tokenizer->vocab_size(), .max_model_len = 100},
                                 {"ship", "vessel"}, std::nullopt, {"captain", "cook"});
  const auto asked = [&](const std::string& model) {
    return adapted.parse(Fields(std::get<Json>(parse_json(R"({"prompt":"The ship","n":2)" + model + "}"))), false);
  };
  EXPECT_EQ(asked("").generation.adapter, 0);
  EXPECT_EQ(asked(R"(,"model":"vessel")").generation.adapter, 0);
  EXPECT_EQ(asked(R"(,"model":"vessel")").model, "");
  EXPECT_EQ(asked(R"(,"model":"captain")").generation.adapter, 1);
  EXPECT_EQ(asked(R"(,"model":"cook")").generation.adapter, 2);
  EXPECT_EQ(asked(R"(,"model":"cook")").model, "cook");
  try {
    asked(R"(,"model":"pilot")");
    FAIL() << "there is no such model";
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status, 404);
    EXPECT_NE(error.message.find(R"(this server has "ship", "captain", "cook")"), std::string::npos) << error.message;
  }
}

TEST(CompletionRequest, LogprobsAreANumberOfATextAndAFlagOfAChat) {
  EXPECT_EQ(parsed("").generation.logprobs, -1);
  EXPECT_EQ(parsed(R"(,"logprobs":0)").generation.logprobs, 0);
  EXPECT_EQ(parsed(R"(,"logprobs":true,"top_logprobs":20)", true).generation.logprobs, 20);
  EXPECT_EQ(refused(R"(,"logprobs":true)"), "logprobs");
  EXPECT_EQ(refused(R"(,"logprobs":5)", true), "logprobs");
  EXPECT_EQ(refused(R"(,"logprobs":21)"), "logprobs");
  EXPECT_EQ(refused(R"(,"logprobs":true,"top_logprobs":21)", true), "top_logprobs");
}

TEST(CompletionRequest, HasABoundOnAllAnswersTogether) {
  const auto asked = [](int prompts, const std::string& members) {
    Json body = std::get<Json>(parse_json("{" + members + "}"));
    body.set("prompt", Json::Array(static_cast<std::size_t>(prompts), Json("a")));
    try {
      return std::to_string(parser().parse(Fields(body), false).prompts.size());
    } catch (const ApiError& error) {
      EXPECT_EQ(error.status, 400);
      return error.param;
    }
  };
  EXPECT_EQ(asked(1, R"("n":128)"), "1");
  EXPECT_EQ(asked(1, R"("n":129)"), "n");
  EXPECT_EQ(asked(1024, ""), "1024");
  EXPECT_EQ(asked(1025, ""), "prompt");
  EXPECT_EQ(asked(64, R"("n":16)"), "64");
  EXPECT_EQ(asked(65, R"("n":16)"), "n");
  EXPECT_EQ(asked(65, R"("n":2,"best_of":16)"), "best_of");
}

TEST(CompletionRequest, TheBestOfSeveralNeedsTheirLogprobs) {
  const CompletionRequest request = parsed(R"(,"best_of":4,"n":2)");
  EXPECT_EQ(request.choices, 2U);
  EXPECT_EQ(request.candidates, 4U);
  EXPECT_EQ(request.generation.logprobs, 0);
  EXPECT_FALSE(request.text.keep_rows) << "the client did not ask for them";
  EXPECT_EQ(refused(R"(,"best_of":1,"n":2)"), "best_of");
  EXPECT_EQ(refused(R"(,"best_of":2,"stream":true)"), "best_of");
}

TEST(CompletionRequest, ThePromptsLogprobsServeAnEchoToo) {
  EXPECT_EQ(parsed(R"(,"echo":true)").generation.prompt_logprobs, -1);
  EXPECT_EQ(parsed(R"(,"echo":true,"logprobs":3,"max_tokens":0)").generation.prompt_logprobs, 3);
  const CompletionRequest both = parsed(R"(,"echo":true,"logprobs":3,"prompt_logprobs":5)");
  EXPECT_EQ(both.generation.prompt_logprobs, 5);
  EXPECT_TRUE(both.prompt_logprobs);
  EXPECT_EQ(refused(R"(,"prompt_logprobs":-1)"), "prompt_logprobs");
  EXPECT_EQ(refused(R"(,"prompt_logprobs":1,"stream":true)"), "prompt_logprobs");
}

TEST(CompletionRequest, ABadWordIsThatAlsoBehindASpace) {
  const auto words = parsed(R"(,"bad_words":[" ship","sea"])").generation.sampling.bad_words;
  ASSERT_EQ(words.size(), 4U);
  const Tokenizer& tokenizer = *test_model().tokenizer;
  EXPECT_EQ(tokenizer.decode(words[0], false), "ship");
  EXPECT_EQ(tokenizer.decode(words[1], false), " ship");
  EXPECT_EQ(tokenizer.decode(words[3], false), " sea");
  EXPECT_EQ(refused(R"(,"bad_words":["ship"," "])"), "bad_words");
  EXPECT_EQ(refused(R"(,"allowed_token_ids":[])"), "allowed_token_ids");
  EXPECT_EQ(refused(R"(,"allowed_token_ids":[-1])"), "allowed_token_ids");
}

TEST(CompletionRequest, APromptMayBeCutAtEitherEnd) {
  const std::vector<int32_t> whole = parsed("").prompts[0].ids;
  ASSERT_GT(whole.size(), 3U);
  const std::vector<int32_t> end = parsed(R"(,"truncate_prompt_tokens":3)").prompts[0].ids;
  EXPECT_EQ(end, std::vector<int32_t>(whole.end() - 3, whole.end()));
  const auto begin = parsed(R"(,"truncate_prompt_tokens":3,"truncation_side":"right")").prompts[0].ids;
  EXPECT_EQ(begin, std::vector<int32_t>(whole.begin(), whole.begin() + 3));
  EXPECT_EQ(refused(R"(,"truncate_prompt_tokens":0)"), "truncate_prompt_tokens");
  std::string long_prompt = R"({"truncate_prompt_tokens":-1,"prompt":")";
  for (int i = 0; i < 300; ++i) long_prompt += "q ";
  const Json body = std::get<Json>(parse_json(long_prompt + "\"}"));
  EXPECT_EQ(parser().parse(Fields(body), false).prompts[0].ids.size(), 99U);
}

TEST(CompletionRequest, AChatMayGoOnWithItsLastMessage) {
  const auto tokens = [](const std::string& members) {
    const std::string chat =
        R"({"messages":[{"role":"user","content":"Sail"},{"role":"assistant","content":"Aye, the"}])";
    return parser().parse(Fields(std::get<Json>(parse_json(chat + members + "}"))), true).prompts[0];
  };
  const Tokenizer& tokenizer = *test_model().tokenizer;
  const CompletionRequest::Prompt going_on = tokens(R"(,"continue_final_message":true,"echo":true)");
  EXPECT_TRUE(tokenizer.decode(going_on.ids, false).ends_with("Aye, the"));
  EXPECT_EQ(going_on.text, "Aye, the");
  EXPECT_FALSE(tokenizer.decode(tokens("").ids, false).ends_with("Aye, the"));
  EXPECT_EQ(tokens("").text, "");
  EXPECT_LT(tokens(R"(,"add_generation_prompt":false)").ids.size(), tokens("").ids.size());
  EXPECT_THROW(tokens(R"(,"continue_final_message":true,"add_generation_prompt":true)"), ApiError);
}

TEST(CompletionRequest, ATemplateTakesVariablesButNotThoseOfTheRequest) {
  EXPECT_EQ(refused(R"(,"chat_template_kwargs":{"enable_thinking":false})", true), "");
  EXPECT_EQ(refused(R"(,"chat_template_kwargs":{"messages":[]})", true), "chat_template_kwargs");
  EXPECT_EQ(refused(R"(,"chat_template_kwargs":[])", true), "chat_template_kwargs");
  EXPECT_EQ(refused(R"(,"chat_template":"{{ 1 }}")", true), "chat_template");
}

TEST(CompletionRequest, AnEffortSaysWhetherToThink) {
  ModelText model = test_model();
  Json seen;
  model.render = [&](const Json& variables) {
    seen = variables;
    return std::string("a");
  };
  const auto thinks = [&](const std::string& members) {
    const Json body = std::get<Json>(parse_json(R"({"messages":[{"role":"user","content":"Why?"}])" + members + "}"));
    ChatPrompt(model).tokens(Fields(body));
    const Json* value = seen.find("enable_thinking");
    return value == nullptr ? Json() : *value;
  };
  EXPECT_EQ(thinks(""), Json());
  EXPECT_EQ(thinks(R"(,"reasoning_effort":"none")"), Json(false));
  EXPECT_EQ(thinks(R"(,"reasoning_effort":"low")"), Json(true));
  EXPECT_EQ(*seen.find("reasoning_effort"), Json("low"));
  EXPECT_EQ(thinks(R"(,"reasoning_effort":"none","chat_template_kwargs":{"enable_thinking":true})"), Json(true));
}

TEST(CompletionRequest, APromptIsTextOrTokensOrSeveralOfThem) {
  const auto prompts = [](const std::string& prompt) {
    return parser().parse(Fields(std::get<Json>(parse_json(R"({"prompt":)" + prompt + "}"))), false).prompts.size();
  };
  EXPECT_EQ(prompts("[65, 66]"), 1U);
  EXPECT_EQ(prompts(R"([[65, 66], "a"])"), 2U);
  for (const char* bad : {"[]", "[[]]", "[1, \"a\"]", "[1.5]", "5", "{}", "[[[1]]]", "null"}) {
    EXPECT_THROW(prompts(bad), ApiError) << bad;
  }
}

}  // namespace
}  // namespace longship
