#include "launcher/server/chat_reply.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace longship {
namespace {

const ReplyRules kRules = {.format = {.tools = ToolFormat::kHermes, .reasoning = ReasoningFormat::kThink},
                           .functions = {"now", "add"}};

constexpr const char* kTwoCalls =
    "<think>Both.</think>Let me see.\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>\n"
    "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": [2]}}\n</tool_call>";

// What a client makes of the deltas.
struct Client {
  std::string content;
  std::string reasoning;
  struct Call {
    std::string id;
    std::string name;
    std::string arguments;
  };
  std::vector<Call> calls;

  void take(const Json::Array& deltas) {
    for (const Json& delta : deltas) {
      add(delta, "content", content);
      add(delta, "reasoning_content", reasoning);
      if (const Json* list = delta.find("tool_calls"); list != nullptr) {
        ASSERT_EQ(list->as_array().size(), 1U);
        take_call(list->as_array()[0]);
      }
    }
  }
  void take_call(const Json& piece) {
    const auto index = static_cast<std::size_t>(piece.find("index")->as_int());
    ASSERT_LE(index, calls.size());
    if (index == calls.size()) {
      calls.emplace_back();
      EXPECT_EQ(*piece.find("type"), Json("function"));
    } else {
      EXPECT_EQ(piece.find("id"), nullptr) << "told once";
      EXPECT_EQ(piece.find("function")->find("name"), nullptr) << "told once";
    }
    add(piece, "id", calls[index].id);
    add(*piece.find("function"), "name", calls[index].name);
    add(*piece.find("function"), "arguments", calls[index].arguments);
  }
  static void add(const Json& object, const char* key, std::string& text) {
    if (const Json* value = object.find(key); value != nullptr) {
      text += value->as_string();
    }
  }
  // As ChatReply::message() tells it.
  Json message() const {
    Json json;
    json.set("role", "assistant");
    json.set("content", calls.empty() || !content.empty() ? Json(content) : Json());
    json.set("refusal", nullptr);
    if (!reasoning.empty()) {
      json.set("reasoning_content", reasoning);
    }
    Json::Array list;
    for (const Call& call : calls) {
      Json function;
      function.set("name", call.name);
      function.set("arguments", call.arguments);
      Json one;
      one.set("id", call.id);
      one.set("type", "function");
      one.set("function", std::move(function));
      list.push_back(std::move(one));
    }
    if (!list.empty()) {
      json.set("tool_calls", std::move(list));
    }
    return json;
  }
};

TEST(ChatReply, DeltasAddUpToTheMessage) {
  const std::string texts[] = {kTwoCalls,
                               "Hello",
                               "",
                               "<think>a",
                               "<tool_call>{\"name\": \"now\"",
                               "<tool_call>no",
                               "<tool_call>{\"name\": \"now\", \"arguments\": {\"a\": "};
  for (const std::string& text : texts) {
    for (const std::size_t size : {1U, 3U, 1000U}) {
      ChatReply reply(kRules);
      Client client;
      for (std::size_t at = 0; at < text.size(); at += size) {
        client.take(reply.push(std::string_view(text).substr(at, size)));
      }
      client.take(reply.finish());
      EXPECT_EQ(dump_json(client.message()), dump_json(reply.message())) << text;
    }
  }
}

TEST(ChatReply, TellsOfCallsAndReasoning) {
  ChatReply reply(kRules);
  reply.push(kTwoCalls);
  reply.finish();
  const Json message = reply.message();
  EXPECT_EQ(*message.find("content"), Json("Let me see."));
  EXPECT_EQ(*message.find("reasoning_content"), Json("Both."));
  const Json::Array& calls = message.find("tool_calls")->as_array();
  ASSERT_EQ(calls.size(), 2U);
  EXPECT_EQ(*calls[1].find("function")->find("arguments"), Json("{\"a\": 1, \"b\": [2]}"));
  EXPECT_TRUE(reply.has_calls());
}

TEST(ChatReply, HasNoContentWhereThereAreOnlyCalls) {
  ChatReply reply(kRules);
  reply.push("<tool_call>{\"name\": \"now\"}</tool_call>");
  reply.finish();
  EXPECT_TRUE(reply.message().find("content")->is_null());
  ChatReply empty(kRules);
  empty.finish();
  EXPECT_EQ(*empty.message().find("content"), Json(""));
  EXPECT_EQ(empty.message().find("tool_calls"), nullptr);
}

TEST(ChatReply, AnswersTheFirstCallOnlyIfTheClientWantsThat) {
  ReplyRules rules = kRules;
  rules.parallel = false;
  ChatReply reply(rules);
  Client client;
  client.take(reply.push(kTwoCalls));
  client.take(reply.finish());
  ASSERT_EQ(client.calls.size(), 1U);
  EXPECT_EQ(client.calls[0].name, "now");
  EXPECT_EQ(client.message(), reply.message());
}

TEST(ChatReply, CallsHaveIdsOfTheirOwn) {
  const auto ids = [](ToolFormat format, const std::string& text) {
    std::set<std::string> all;
    for (int i = 0; i < 50; ++i) {
      ChatReply reply({.format = {.tools = format}});
      Client client;
      client.take(reply.push(text));
      for (const Client::Call& call : client.calls) {
        all.insert(call.id);
      }
    }
    return all;
  };
  const auto hermes = ids(ToolFormat::kHermes, "<tool_call>{\"name\": \"f\"}</tool_call>");
  EXPECT_EQ(hermes.size(), 50U);
  EXPECT_TRUE(hermes.begin()->starts_with("call_"));
  const auto mistral = ids(ToolFormat::kMistral, "[TOOL_CALLS]f[ARGS]{}");
  EXPECT_EQ(mistral.size(), 50U);
  for (const std::string& id : mistral) {
    EXPECT_EQ(id.size(), 9U);
    EXPECT_TRUE(std::all_of(id.begin(), id.end(), [](unsigned char c) { return std::isalnum(c) != 0; })) << id;
  }
}

}  // namespace
}  // namespace longship
