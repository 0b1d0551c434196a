#include "tests/unit/reply/transcripts.h"

namespace longship {
namespace {

using testing::Transcript;

ReplyParser parser() {
  return {{.tools = ToolFormat::kLlama3}, false, {"get_weather", "now"}};
}

class Llama3 : public ::testing::TestWithParam<Transcript> {};

TEST_P(Llama3, SaysTheSameHoweverItIsCut) {
  testing::expect_says(parser(), GetParam());
}

INSTANTIATE_TEST_SUITE_P(
    Transcripts, Llama3,
    ::testing::Values(
        Transcript{"", ""}, Transcript{"Hello {name}.", "\"Hello {name}.\""},
        Transcript{"{\"name\": \"now\", \"parameters\": {}}", "now({})"},
        Transcript{"\n\n{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Oslo\"}}\n",
                   "get_weather({\"city\": \"Oslo\"})"},
        Transcript{"{\"name\": \"now\", \"arguments\": {\"a\": 1}}", "now({\"a\": 1})"},
        Transcript{"{\"type\": \"function\", \"name\": \"now\", \"parameters\": {}}", "now({})"},
        Transcript{"<|python_tag|>{\"name\": \"now\", \"parameters\": {}}", "now({})"},
        Transcript{"<|python_tag|> {\"type\": \"function\", \"name\": \"now\", \"parameters\": {\"a\": \"b\"}}",
                   "now({\"a\": \"b\"})"},
        Transcript{"Wait.\n<|python_tag|>{\"name\": \"now\", \"parameters\": {}}", "\"Wait.\"now({})"},
        // Several.
        Transcript{"{\"name\": \"now\", \"parameters\": {}}; {\"name\": \"get_weather\", \"parameters\": {\"city\": "
                   "\"Oslo\"}}",
                   "now({})get_weather({\"city\": \"Oslo\"})"},
        Transcript{"<|python_tag|>{\"name\": \"a\", \"parameters\": {}};{\"name\": \"b\", \"parameters\": {}};"
                   "{\"name\": \"c\", \"parameters\": {}}",
                   "a({})b({})c({})"},
        Transcript{"<|python_tag|>{\"name\": \"a\", \"parameters\": {}}; <|python_tag|>{\"name\": \"b\", "
                   "\"parameters\": {}}",
                   "a({})b({})"},
        Transcript{"{\"name\": \"now\", \"parameters\": {}}\n{\"name\": \"now\", \"parameters\": {}}",
                   "now({})now({})"},
        Transcript{"{\"name\": \"now\", \"parameters\": {}};", "now({})"},
        Transcript{"{\"name\": \"now\", \"parameters\": {}}; then I wait.", "now({})\"; then I wait.\""},
        // JSON that is the answer.
        Transcript{"{\"city\": \"Oslo\", \"name\": \"now\"}", "\"{\"city\": \"Oslo\", \"name\": \"now\"}\""},
        Transcript{"{\"name\": \"Ada\", \"parameters\": {}}", "\"{\"name\": \"Ada\", \"parameters\": {}}\""},
        Transcript{"{}", "\"{}\""}, Transcript{"[{\"name\": \"now\"}]", "\"[{\"name\": \"now\"}]\""},
        Transcript{"{\"name\": 5}", "\"{\"name\": 5}\""},
        // A call that was not offered stands behind the mark.
        Transcript{"<|python_tag|>{\"name\": \"other\", \"parameters\": {}}", "other({})"},
        // Code, and text behind the first word.
        Transcript{"<|python_tag|>print(1)", "\"<|python_tag|>print(1)\""},
        Transcript{"So: {\"name\": \"now\", \"parameters\": {}}", "\"So: {\"name\": \"now\", \"parameters\": {}}\""},
        Transcript{"{\"name\": \"now\", \"parameters\": {\"a\": \"; {\\\"\"}}", "now({\"a\": \"; {\\\"\"})"},
        Transcript{"{\"name\": \"now\", \"parameters\": {\"a\": tru", "now({\"a\": tru)"},
        Transcript{"{\"name\": \"no", "\"{\"name\": \"no\""},
        Transcript{"{\"name\": \"now\", \"parameters\": {\"a\": 01}}", "now({\"a\": 0)\"1}}\""}));

TEST(Llama3Property, CutsDoNotMatter) {
  testing::expect_cuts_do_not_matter(parser(), {"<|python_tag|>", "{\"name\": \"now\", \"parameters\": {\"a\": \"b\"}}",
                                                "{\"name\": \"now\",", " \"parameters\": ", "{}", "}", ";", "; ", "\n",
                                                "text", "ü", "\"", "<|py", "{\"name\": \"x\"}", "[1"});
}

}  // namespace
}  // namespace longship
