#include "tests/unit/reply/transcripts.h"

namespace longship {
namespace {

using testing::Transcript;

constexpr ReplyFormat kThink = {.reasoning = ReasoningFormat::kThink};
constexpr ReplyFormat kThinkAndCall = {.tools = ToolFormat::kHermes, .reasoning = ReasoningFormat::kThink};

class Reasoning : public ::testing::TestWithParam<Transcript> {};

TEST_P(Reasoning, SaysTheSameHoweverItIsCut) {
  testing::expect_says(ReplyParser(kThink, false, {}), GetParam());
}

INSTANTIATE_TEST_SUITE_P(
    Transcripts, Reasoning,
    ::testing::Values(
        Transcript{"", ""}, Transcript{"Hello", "\"Hello\""}, Transcript{" \n Hello ", "\" \n Hello \""},
        Transcript{"<think>a</think>b", "~a~\"b\""}, Transcript{"<think>\na\n b \n</think>\n\nb\n", "~a\n b~\"b\n\""},
        Transcript{"\n<think>a</think>", "~a~"}, Transcript{"<think></think>b", "\"b\""},
        Transcript{"<think>\n\n</think>\n\n", ""},
        Transcript{"<think>a < b </th ink></think>b", "~a < b </th ink>~\"b\""}, Transcript{"<think>a", "~a~"},
        Transcript{"<think>a \n", "~a~"}, Transcript{"<think>a</thi", "~a</thi~"}, Transcript{"<think", "\"<think\""},
        Transcript{"<thing>", "\"<thing>\""},
        // Only at the beginning.
        Transcript{"Hello <think>a</think>", "\"Hello <think>a</think>\""},
        Transcript{"<think>a</think>b<think>c</think>", "~a~\"b<think>c</think>\""},
        Transcript{"a</think>b", "\"a</think>b\""}, Transcript{"<think>ü</think>ö", "~ü~\"ö\""},
        Transcript{"<think>a\n\n\nb</think>\n c", "~a\n\n\nb~\"c\""},
        Transcript{"<think><think>a</think>b", "~a~\"b\""}, Transcript{"<think>\n<think> <think>a", "~a~"},
        Transcript{"<think></think></think>", "\"</think>\""}));

TEST(ReasoningOpen, BeginsInsideWhereThePromptOpenedIt) {
  const ReplyParser parser(kThink, true, {});
  testing::expect_says(parser, {"a</think>b", "~a~\"b\""});
  testing::expect_says(parser, {"\n a \n</think>\n\nb", "~a~\"b\""});
  testing::expect_says(parser, {"</think>b", "\"b\""});
  testing::expect_says(parser, {"<think>\na</think>b", "~a~\"b\""});
  testing::expect_says(parser, {"a and no end", "~a and no end~"});
  testing::expect_says(parser, {"<thi", "~<thi~"});
}

TEST(ReasoningMistral, HasMarksOfItsOwn) {
  const ReplyParser parser({.tools = ToolFormat::kMistral, .reasoning = ReasoningFormat::kMistral}, false, {});
  testing::expect_says(parser, {"[THINK]a[/THINK]b[TOOL_CALLS]f[ARGS]{}", "~a~\"b\"f({})"});
  testing::expect_says(parser, {"<think>a</think>b", "\"<think>a</think>b\""});
}

TEST(ReasoningAndCalls, CallsStandOutsideTheReasoning) {
  const ReplyParser parser(kThinkAndCall, false, {"now"});
  testing::expect_says(parser, {"<think>I <tool_call></think>\n\n<tool_call>\n{\"name\": \"now\"}\n</tool_call>",
                                "~I <tool_call>~now({})"});
  testing::expect_says(parser,
                       {"<think>a</think>\nb\n<tool_call>\n{\"name\": \"now\"}\n</tool_call>", "~a~\"b\"now({})"});
  testing::expect_says(parser, {"<tool_call>\n{\"name\": \"now\"}\n</tool_call>", "now({})"});
}

TEST(ReasoningState, TellsWhetherTheReplyThinks) {
  ReplyParser parser(kThink, false, {});
  EXPECT_FALSE(parser.in_reasoning());
  parser.push("<think>a");
  EXPECT_TRUE(parser.in_reasoning());
  parser.push("</think>");
  EXPECT_FALSE(parser.in_reasoning());
  EXPECT_TRUE(ReplyParser(kThink, true, {}).in_reasoning());
}

TEST(ReasoningProperty, CutsDoNotMatter) {
  const std::vector<std::string> parts = {
      "<think>", "</think>", "text", "\n", " ", "<tool_call>", "</tool_call>", "{\"name\": \"now\", \"arguments\": {}}",
      "</th",    "ü"};
  for (const bool open : {false, true}) {
    std::mt19937 random(3);
    for (int round = 0; round < 2000; ++round) {
      std::string text;
      for (unsigned i = 1 + random() % 10; i > 0; --i) {
        text += parts[random() % parts.size()];
      }
      const ReplyParser parser(kThinkAndCall, open, {"now"});
      const std::string whole = testing::read_in_pieces(parser, text, [] { return false; });
      ASSERT_EQ(testing::read_in_pieces(parser, text, [] { return true; }), whole) << text;
      ASSERT_EQ(testing::read_in_pieces(parser, text, [&] { return random() % 4 == 0; }), whole) << text;
    }
  }
}

}  // namespace
}  // namespace longship
