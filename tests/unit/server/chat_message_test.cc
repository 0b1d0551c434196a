#include "launcher/server/chat_message.h"

#include <gtest/gtest.h>

#include "launcher/server/api_error.h"

namespace longship {
namespace {

std::string taken(const std::string& message, ToolFormat format = ToolFormat::kHermes) {
  return dump_json(template_message(std::get<Json>(parse_json(message)), "m", format));
}

std::string refused(const std::string& message) {
  try {
    taken(message);
    return {};
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status, 400);
    return error.param;
  }
}

TEST(ChatMessage, CallsHaveTheirArgumentsAsObjects) {
  EXPECT_EQ(taken(R"({"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function",
                     "function":{"name":"f","arguments":"{\"b\": [1.5, \"ü\"], \"a\": null}"}}]})"),
            R"({"role": "assistant", "content": "", "tool_calls": [{"id": "call_1", "type": "function", )"
            R"("function": {"name": "f", "arguments": {"b": [1.5, "ü"], "a": null}}}]})");
  const auto arguments = [](const std::string& given) {
    const Json message = template_message(
        std::get<Json>(parse_json(R"({"role":"assistant","tool_calls":[{"function":{"name":"f")" + given + "}}]}")),
        "m", ToolFormat::kHermes);
    return dump_json(*message.find("tool_calls")->as_array()[0].find("function")->find("arguments"));
  };
  EXPECT_EQ(arguments(""), "{}");
  EXPECT_EQ(arguments(R"(,"arguments":"")"), "{}");
  EXPECT_EQ(arguments(R"(,"arguments":{"a":1})"), R"({"a": 1})");
  EXPECT_EQ(arguments(R"(,"arguments":"{\"a\":")"), R"("{\"a\":")") << "as the model wrote it";
}

TEST(ChatMessage, OtherFieldsGoToTheTemplate) {
  EXPECT_EQ(taken(R"({"role":"tool","content":[{"type":"text","text":"4"},{"type":"text","text":"2"}],
                     "tool_call_id":"call_1","name":"f","more":1})"),
            R"({"role": "tool", "content": "4\n2", "name": "f", "tool_call_id": "call_1"})");
  EXPECT_EQ(taken(R"({"role":"assistant","content":"a","reasoning_content":"b","tool_calls":[]})"),
            R"({"role": "assistant", "content": "a", "reasoning_content": "b"})");
  EXPECT_EQ(taken(R"({"role":"developer","content":"a","tool_call_id":"x"})"), R"({"role": "system", "content": "a"})");
}

TEST(ChatMessage, MistralsIdsHaveNineLettersAndDigits) {
  const auto id = [](const std::string& given) {
    return template_message(
               std::get<Json>(parse_json(R"({"role":"tool","content":"","tool_call_id":")" + given + R"("})")), "m",
               ToolFormat::kMistral)
        .find("tool_call_id")
        ->as_string();
  };
  EXPECT_EQ(id("abcDEF123"), "abcDEF123");
  EXPECT_EQ(id("call_abcdefghij"), "bcdefghij");
  EXPECT_EQ(id("c-1"), "0000000c1");
}

TEST(ChatMessage, WhatIsWrongIsNamed) {
  EXPECT_EQ(refused(R"(5)"), "m");
  EXPECT_EQ(refused(R"({"role":7,"content":""})"), "m.role");
  EXPECT_EQ(refused(R"({"role":"user","content":null})"), "m.content");
  EXPECT_EQ(refused(R"({"role":"tool"})"), "m.content");
  EXPECT_EQ(refused(R"({"role":"user","content":[{"type":"image_url"}]})"), "m.content");
  EXPECT_EQ(refused(R"({"role":"assistant","tool_calls":5})"), "m.tool_calls");
  EXPECT_EQ(refused(R"({"role":"assistant","tool_calls":[5]})"), "m.tool_calls[0].function");
  EXPECT_EQ(refused(R"({"role":"assistant","tool_calls":[{"function":{"arguments":"{}"}}]})"),
            "m.tool_calls[0].function.name");
  EXPECT_EQ(refused(R"({"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":5}}]})"),
            "m.tool_calls[0].function.arguments");
  EXPECT_EQ(refused(R"({"role":"assistant","tool_calls":[{"id":5,"function":{"name":"f"}}]})"), "m.tool_calls[0].id");
  EXPECT_EQ(refused(R"({"role":"assistant","function_call":{"name":"f","arguments":"{}"}})"), "m.function_call");
}

}  // namespace
}  // namespace longship
