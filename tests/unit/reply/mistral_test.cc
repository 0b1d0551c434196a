#include "tests/unit/reply/transcripts.h"

namespace longship {
namespace {

using testing::Transcript;

ReplyParser parser() {
  return {{.tools = ToolFormat::kMistral}, false, {"get_weather", "now"}};
}

class Mistral : public ::testing::TestWithParam<Transcript> {};

TEST_P(Mistral, SaysTheSameHoweverItIsCut) {
  testing::expect_says(parser(), GetParam());
}

INSTANTIATE_TEST_SUITE_P(
    Transcripts, Mistral,
    ::testing::Values(
        Transcript{"", ""}, Transcript{"Hello [name].", "\"Hello [name].\""},
        // A list.
        Transcript{"[TOOL_CALLS][{\"name\": \"now\", \"arguments\": {}}]", "now({})"},
        Transcript{"[TOOL_CALLS] [{\"arguments\": {\"city\": \"Oslo\"}, \"name\": \"get_weather\"}]",
                   "get_weather({\"city\": \"Oslo\"})"},
        Transcript{"[TOOL_CALLS][{\"name\": \"now\", \"arguments\": {}}, {\"name\": \"get_weather\", \"arguments\": "
                   "{\"city\": \"Oslo\"}}]",
                   "now({})get_weather({\"city\": \"Oslo\"})"},
        Transcript{"[TOOL_CALLS][{\"name\": \"now\", \"arguments\": {}, \"id\": \"abc123xyz\"}]", "now({})"},
        Transcript{"I look.[TOOL_CALLS][{\"name\": \"now\", \"arguments\": {\"a\": [\"]\"]}}]",
                   "\"I look.\"now({\"a\": [\"]\"]})"},
        Transcript{"[TOOL_CALLS][{\"name\": \"now\"}] Done.", "now({})\" Done.\""},
        Transcript{"[TOOL_CALLS][{\"name\": \"now\"}", "now({})"},
        Transcript{"[TOOL_CALLS][{\"name\": \"now\"},", "now({})"},
        Transcript{"[TOOL_CALLS]{\"name\": \"now\", \"arguments\": {}}", "now({})"},
        // A head.
        Transcript{"[TOOL_CALLS]now[ARGS]{}", "now({})"},
        Transcript{"[TOOL_CALLS]get_weather[ARGS]{\"city\": \"Tromsø\", \"days\": 2}",
                   "get_weather({\"city\": \"Tromsø\", \"days\": 2})"},
        Transcript{"[TOOL_CALLS]now[CALL_ID]abc123xyz[ARGS]{\"a\": {}}", "now({\"a\": {}})"},
        Transcript{"[TOOL_CALLS]now{\"a\": 1}", "now({\"a\": 1})"},
        Transcript{"[TOOL_CALLS]now[ARGS]{}[TOOL_CALLS]now[ARGS]{\"a\": \"[TOOL_CALLS]\"}",
                   "now({})now({\"a\": \"[TOOL_CALLS]\"})"},
        Transcript{"First.\n[TOOL_CALLS]a-b_c.d[ARGS]{}\n", "\"First.\"a-b_c.d({})"},
        Transcript{"[TOOL_CALLS]now[ARGS]{\"a\": \"Os", "now({\"a\": \"Os)"},
        // What is no call.
        Transcript{"[TOOL_CALLS][]", "\"[TOOL_CALLS][]\""}, Transcript{"[TOOL_CALLS]", "\"[TOOL_CALLS]\""},
        Transcript{"[TOOL_CALLS]I cannot.", "\"[TOOL_CALLS]I cannot.\""},
        Transcript{"[TOOL_CALLS]now[ARG]{}", "\"[TOOL_CALLS]now[ARG]{}\""},
        Transcript{"[TOOL_CALLS][ARGS]{}", "\"[TOOL_CALLS][ARGS]{}\""},
        Transcript{"[TOOL_CALLS]now[ARGS]5", "\"[TOOL_CALLS]now[ARGS]5\""},
        Transcript{"[TOOL_CALLS][{\"name\": \"now\"}, 5]", "now({})\", 5]\""},
        Transcript{"[TOOL_CALLS]" + std::string(300, 'a') + "[ARGS]{}",
                   "\"[TOOL_CALLS]" + std::string(300, 'a') + "[ARGS]{}\""},
        Transcript{"[TOOL_CALLS]now[ARGS]{\"a\": nil}", "now({\"a\": n)\"il}\""}));

TEST(MistralProperty, CutsDoNotMatter) {
  testing::expect_cuts_do_not_matter(
      parser(), {"[TOOL_CALLS]", "[", "]", "{\"name\": \"now\", \"arguments\": {\"a\": \"b\"}}", "now[ARGS]", "{}", "}",
                 ",", "\n", "text", "ü", "\"", "[TOOL", "[CALL_ID]", "now", "{\"name\": \"now\""});
}

}  // namespace
}  // namespace longship
