// Conversations with tools, as clients send them, against what jinja2 makes of real templates.
#include <gtest/gtest.h>

#include <set>

#include "core/error.h"
#include "engine/text/chat_template.h"
#include "launcher/server/chat_prompt.h"
#include "tests/support/fixtures.h"
#include "tests/unit/server/model.h"

namespace longship {
namespace {

std::tm fixture_clock() {
  std::tm now = {};
  now.tm_year = 126;
  now.tm_mday = 15;
  now.tm_hour = 12;
  now.tm_min = 34;
  now.tm_sec = 56;
  now.tm_isdst = -1;
  std::mktime(&now);
  return now;
}

// The body of a request: clients send arguments as text.
Json body_of(const Json& context) {
  Json::Array messages = context.find("messages")->as_array();
  for (Json& message : messages) {
    const Json* calls = message.find("tool_calls");
    if (calls == nullptr) {
      continue;
    }
    Json::Array as_text = calls->as_array();
    for (Json& call : as_text) {
      Json function = *call.find("function");
      function.set("arguments", dump_json(*function.find("arguments")));
      call.set("function", std::move(function));
    }
    message.set("tool_calls", std::move(as_text));
  }
  Json body;
  body.set("messages", std::move(messages));
  body.set("tools", *context.find("tools"));
  return body;
}

// What the template is given and makes of the body, by the way that requests take.
std::string rendered(const std::string& source, const Json& context) {
  std::string text;
  ModelText model = test_model();
  model.render = [&](const Json& variables) {
    Json all = context;
    for (const auto& [name, value] : variables.as_object()) {
      all.set(name, value);
    }
    text = ChatTemplate(source).render(all, fixture_clock());
    return text;
  };
  const Json body = body_of(context);
  ChatPrompt(model).tokens(Fields(body));
  return text;
}

bool has_calls(const std::string& source) {
  const auto render = [&](const Json& variables) { return ChatTemplate(source).render(variables, fixture_clock()); };
  return find_reply_format(source, render).tools != ToolFormat::kNone;
}

TEST(ToolTemplates, RealTemplatesSeeToolsAsInTransformers) {
  const auto fixtures = testing::third_party_fixtures();
  if (!fixtures) {
    GTEST_SKIP() << "set LONGSHIP_FIXTURES to the folder of third-party fixtures to run this test";
  }
  const std::set<std::string> names = {"tools", "tools_three", "tool_result", "tool_done", "two_calls"};
  int compared = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*fixtures / "templates" / "cases")) {
    for (const Json& line : testing::read_jsonl(entry.path())) {
      const std::string& name = line.find("name")->as_string();
      if (!names.contains(name) || line.find("error") != nullptr) {
        continue;
      }
      std::ifstream file(*fixtures / "templates" / "templates" / line.find("template")->as_string(), std::ios::binary);
      const std::string source{std::istreambuf_iterator<char>(file), {}};
      // Content that is null is empty here. Templates of the known formats make the same of both, or refuse null.
      if (name == "two_calls" && !has_calls(source)) {
        continue;
      }
      EXPECT_EQ(rendered(source, *line.find("context")), line.find("expect")->as_string())
          << entry.path().filename() << " " << name;
      ++compared;
    }
  }
  EXPECT_GT(compared, 250);
}

TEST(ToolTemplates, WhatClientsWriteIsNeverASpecialToken) {
  ModelText model = test_model();
  model.render = [](const Json& variables) {
    return dump_json(*variables.find("tools")) + dump_json(*variables.find("messages"));
  };
  std::string special;
  for (int32_t id = 0; id < model.tokenizer->vocab_size() && special.empty(); ++id) {
    special = model.tokenizer->is_special(id) ? model.tokenizer->bytes_of(id) : "";
  }
  ASSERT_GT(special.size(), 1U);
  const int32_t id = *model.tokenizer->find(special);
  const auto count = [&](const std::string& text) {
    const Json body = std::get<Json>(parse_json(
        R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"tool_calls":[{"id":")" +
        text + R"(","type":"function","function":{"name":"f","arguments":"{\")" + text + R"(\":\")" + text +
        R"(\"}"}}]},{"role":"tool","tool_call_id":")" + text + R"(","content":")" + text +
        R"("}],"tools":[{"type":"function","function":{"name":"f","description":")" + text +
        R"(","parameters":{"properties":{")" + text + R"(":{"enum":[")" + text + R"("]}}}}}]})"));
    const std::vector<int32_t> ids = ChatPrompt(model).tokens(Fields(body));
    return std::count(ids.begin(), ids.end(), id);
  };
  EXPECT_EQ(count(special), count("plain"));
}

}  // namespace
}  // namespace longship
