#include "launcher/server/tool_use.h"

#include <gtest/gtest.h>

#include "launcher/server/api_error.h"

namespace longship {
namespace {

constexpr const char* kTools = R"("tools":[{"type":"function","function":{"name":"now"}},
  {"type":"function","function":{"name":"get_weather","description":"d","parameters":{"type":"object"},"strict":false}}])";

ToolUse read(const std::string& members) {
  const Json body = std::get<Json>(parse_json("{" + members + "}"));
  return read_tool_use(Fields(body));
}

std::string refused(const std::string& members) {
  try {
    read(members);
    return {};
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status, 400);
    return error.param;
  }
}

TEST(ToolUse, IsAutomaticWhereThereAreTools) {
  EXPECT_EQ(read("").choice, ToolUse::Choice::kNone);
  EXPECT_EQ(read(R"("tools":[])").choice, ToolUse::Choice::kNone);
  EXPECT_EQ(read(R"("tools":null,"tool_choice":null)").choice, ToolUse::Choice::kNone);
  EXPECT_EQ(read(R"("tool_choice":"auto")").choice, ToolUse::Choice::kNone);
  const ToolUse use = read(kTools);
  EXPECT_EQ(use.choice, ToolUse::Choice::kAuto);
  EXPECT_EQ(use.functions, (std::vector<std::string>{"now", "get_weather"}));
  EXPECT_TRUE(use.parallel);
  EXPECT_EQ(dump_json(use.tools[0]), R"({"type": "function", "function": {"name": "now"}})") << "as the client gave it";
}

TEST(ToolUse, IsWhatTheClientChooses) {
  const std::string tools = kTools;
  EXPECT_EQ(read(tools + R"(,"tool_choice":"required")").choice, ToolUse::Choice::kRequired);
  const ToolUse named = read(tools + R"(,"tool_choice":{"type":"function","function":{"name":"now"}})");
  EXPECT_EQ(named.choice, ToolUse::Choice::kNamed);
  EXPECT_EQ(named.named, "now");
  EXPECT_EQ(read(R"("tools":[{"function":{"name":"a","strict":true}}],"tool_choice":"required")").choice,
            ToolUse::Choice::kRequired);
  EXPECT_TRUE(read(R"("tools":[{"function":{"name":"a","strict":true}},{"function":{"name":"b"}}])").strict);
  EXPECT_FALSE(read(tools).strict);
  EXPECT_FALSE(read(tools + R"(,"parallel_tool_calls":false)").parallel);
  const ToolUse none = read(tools + R"(,"tool_choice":"none")");
  EXPECT_EQ(none.choice, ToolUse::Choice::kNone);
  EXPECT_TRUE(none.tools.empty()) << "the model is not told of them";
}

TEST(ToolUse, WhatIsWrongIsNamed) {
  const auto tool = [](const std::string& function) {
    return R"("tools":[{"type":"function","function":)" + function + "}]";
  };
  const std::string tools = kTools;
  const std::pair<std::string, std::string> cases[] = {
      {R"("tools":5)", "tools"},
      {R"("tools":{})", "tools"},
      {R"("tools":["now"])", "tools[0]"},
      {R"("tools":[{}])", "tools[0].function"},
      {R"("tools":[{"type":"web_search"}])", "tools[0].type"},
      {tool("5"), "tools[0].function"},
      {tool("{}"), "tools[0].function.name"},
      {tool(R"({"name":""})"), "tools[0].function.name"},
      {tool(R"({"name":"a b"})"), "tools[0].function.name"},
      {tool(R"({"name":")" + std::string(65, 'a') + R"("})"), "tools[0].function.name"},
      {tool(R"({"name":"a","description":5})"), "tools[0].function.description"},
      {tool(R"({"name":"a","parameters":[]})"), "tools[0].function.parameters"},
      {tool(R"({"name":"a","strict":"yes"})"), "tools[0].function.strict"},
      {R"("tools":[{"function":{"name":"a"}},{"function":{"name":"a"}}])", "tools[1].function.name"},
      {R"("tool_choice":"required")", "tool_choice"},
      {R"("tool_choice":{"type":"function","function":{"name":"now"}})", "tool_choice"},
      {tools + R"(,"tool_choice":"any")", "tool_choice"},
      {tools + R"(,"tool_choice":5)", "tool_choice"},
      {tools + R"(,"tool_choice":{})", "tool_choice.function"},
      {tools + R"(,"tool_choice":{"type":"function","function":{"name":"other"}})", "tool_choice"},
      {tools + R"(,"parallel_tool_calls":1)", "parallel_tool_calls"},
      {R"("functions":[{"name":"a"}])", "functions"},
      {R"("function_call":"auto")", "function_call"}};
  for (const auto& [members, param] : cases) {
    EXPECT_EQ(refused(members), param) << members;
  }
  std::string many;
  for (int i = 0; i < 129; ++i) {
    many += std::string(i == 0 ? "" : ",") + R"({"function":{"name":"f)" + std::to_string(i) + R"("}})";
  }
  EXPECT_EQ(refused(R"("tools":[)" + many + "]"), "tools");
}

}  // namespace
}  // namespace longship
