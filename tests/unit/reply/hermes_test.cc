#include "tests/unit/reply/transcripts.h"

namespace longship {
namespace {

using testing::Transcript;

ReplyParser parser() {
  return {{.tools = ToolFormat::kHermes}, false, {"get_weather", "now"}};
}

class Hermes : public ::testing::TestWithParam<Transcript> {};

TEST_P(Hermes, SaysTheSameHoweverItIsCut) {
  testing::expect_says(parser(), GetParam());
}

INSTANTIATE_TEST_SUITE_P(
    Transcripts, Hermes,
    ::testing::Values(
        Transcript{"", ""}, Transcript{"Hello.\n", "\"Hello.\n\""}, Transcript{"  \n", "\"  \n\""},
        Transcript{"<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>", "now({})"},
        Transcript{"<tool_call>{\"name\":\"now\",\"arguments\":{}}</tool_call>", "now({})"},
        Transcript{
            "\n\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Tromsø\"}}\n</tool_call>\n",
            "get_weather({\"city\": \"Tromsø\"})"},
        Transcript{"I look.\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>", "\"I look.\"now({})"},
        Transcript{"<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>\n<tool_call>\n{\"name\": "
                   "\"get_weather\", \"arguments\": {\"city\": \"Bergen\"}}\n</tool_call>",
                   "now({})get_weather({\"city\": \"Bergen\"})"},
        Transcript{"<tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>\nDone.", "now({})\"\nDone.\""},
        // Keys in another order, more keys, and other names of the arguments.
        Transcript{"<tool_call>{\"arguments\": {\"a\": [1, {\"b\": null}]}, \"name\": \"now\"}</tool_call>",
                   "now({\"a\": [1, {\"b\": null}]})"},
        Transcript{"<tool_call>{\"name\": \"now\", \"parameters\": {\"a\": -1.5e3}}</tool_call>",
                   "now({\"a\": -1.5e3})"},
        Transcript{"<tool_call>{\"id\": 7, \"type\": \"function\", \"name\": \"now\", \"why\": [true], \"arguments\": "
                   "{}}</tool_call>",
                   "now({})"},
        // Arguments that are missing, null or a string.
        Transcript{"<tool_call>{\"name\": \"now\"}</tool_call>", "now({})"},
        Transcript{"<tool_call>{\"name\": \"now\", \"arguments\": null}</tool_call>", "now({})"},
        Transcript{"<tool_call>{\"name\": \"now\", \"arguments\": \"{\\\"a\\\": 1}\"}</tool_call>", "now({\"a\": 1})"},
        // Marks, braces and escapes inside strings.
        Transcript{
            "<tool_call>{\"name\": \"now\", \"arguments\": {\"a\": \"}</tool_call>\\\" <tool_call>{\"}}</tool_call>",
            "now({\"a\": \"}</tool_call>\\\" <tool_call>{\"})"},
        Transcript{"<tool_call>{\"name\": \"n\\u006fw\", \"arguments\": {\"a\": \"\\\\\"}}</tool_call>",
                   "now({\"a\": \"\\\\\"})"},
        // A line break inside a string is escaped.
        Transcript{"<tool_call>{\"name\": \"now\", \"arguments\": {\"a\": \"x\ny\tz\r\"}}</tool_call>",
                   "now({\"a\": \"x\\ny\\tz\\u000d\"})"},
        // Without its end; two calls between the marks; an end that is cut.
        Transcript{"<tool_call>{\"name\": \"now\", \"arguments\": {}}", "now({})"},
        Transcript{"<tool_call>{\"name\": \"now\", \"arguments\": {}}\n{\"name\": \"now\"}</tool_call>",
                   "now({})now({})"},
        Transcript{"<tool_call>{\"name\": \"now\", \"arguments\": {}}\n</tool", "now({})"},
        // Without marks, and as code.
        Transcript{"{\"name\": \"now\", \"arguments\": {}}", "now({})"},
        Transcript{"```json\n{\n  \"name\": \"now\",\n  \"arguments\": {\n    \"a\": 1\n  }\n}\n```",
                   "now({\n    \"a\": 1\n  })"},
        Transcript{"```json\n{\"name\": \"now\"}\n{\"name\": \"now\"}\n``` So.", "now({})now({})\" So.\""},
        Transcript{"```json\n{\"name\": \"Ada\"}\n```", "\"```json\n{\"name\": \"Ada\"}\n```\""},
        Transcript{"```json\n[1]\n```", "\"```json\n[1]\n```\""}, Transcript{"```js", "\"```js\""},
        Transcript{"See ```json\n{\"name\": \"now\"}\n```", "\"See ```json\n{\"name\": \"now\"}\n```\""},
        // What is no call is content.
        Transcript{"a < b and <tool_ and <tool_call", "\"a < b and <tool_ and <tool_call\""},
        Transcript{"<tool_call>now()</tool_call>", "\"<tool_call>now()</tool_call>\""},
        Transcript{"<tool_call>\n{\"name\": \"\", \"arguments\": {}}</tool_call>",
                   "\"<tool_call>\n{\"name\": \"\", \"arguments\": {}}</tool_call>\""},
        Transcript{"<tool_call>{\"arguments\": {}}</tool_call>", "\"<tool_call>{\"arguments\": {}}</tool_call>\""},
        Transcript{"<tool_call>{\"name\": \"now\", \"arguments\": 5}",
                   "\"<tool_call>{\"name\": \"now\", \"arguments\": 5}\""},
        Transcript{"<tool_call>{'name': 'now'}<tool_call>{\"name\": \"now\"}</tool_call>",
                   "\"<tool_call>{'name': 'now'}\"now({})"},
        // The end came too early: before the call has begun, and after.
        Transcript{"So <tool_call>\n{\"name\": \"no", "\"So <tool_call>\n{\"name\": \"no\""},
        Transcript{"<tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Os",
                   "get_weather({\"city\": \"Os)"},
        // It breaks off in the arguments.
        Transcript{"<tool_call>{\"name\": \"now\", \"arguments\": {\"a\": 'x'}}</tool_call>",
                   "now({\"a\": )\"'x'}}</tool_call>\""}));

TEST(HermesProperty, CutsDoNotMatter) {
  testing::expect_cuts_do_not_matter(
      parser(), {"<tool_call>", "</tool_call>", "{\"name\": \"now\", \"arguments\": {\"a\": \"b\"}}",
                 "{\"name\": \"now\",", " \"arguments\": ", "{}", "}", "\n", " ", "text", "ü", "\"", "<tool_", "null",
                 "{\"x\": [1, 2", "```json", "```"});
}

}  // namespace
}  // namespace longship
