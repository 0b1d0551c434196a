// Calls of tools, as clients of `longship serve` see them. A small model cannot call, so a grammar lets it write calls
// only.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/e2e/http_client.h"
#include "tests/e2e/server.h"

namespace longship {
namespace {

// Reasoning, and then two calls, the arguments of the first being the model's choice.
constexpr const char* kQuestion = R"("messages":[{"role":"user","content":"Oslo?"}],
  "tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object"}}},
           {"type":"function","function":{"name":"now"}}],
  "grammar":"root ::= \"<think>Hm.</think>\" weather \"\\n\" now\nweather ::= \"<tool_call>{\\\"name\\\": \\\"get_weather\\\", \\\"arguments\\\": {\\\"city\\\": \\\"\" [A-Z] [a-z]{3,8} \"\\\"}}</tool_call>\"\nnow ::= \"<tool_call>{\\\"name\\\": \\\"now\\\"}</tool_call>\"",
  "seed":3,"max_tokens":400)";

TEST(Tools, CallsAreAnsweredAndStreamedAlike) {
  Server server({"--tool-call-parser", "hermes", "--reasoning-parser", "think"});
  const Json whole = server.post("/v1/chat/completions", "{" + std::string(kQuestion) + "}");
  EXPECT_EQ(at(whole, {"choices", "0", "finish_reason"}), Json("tool_calls"));
  const Json message = at(whole, {"choices", "0", "message"});
  EXPECT_EQ(at(message, {"content"}), Json());
  EXPECT_EQ(at(message, {"reasoning_content"}), Json("Hm."));
  EXPECT_EQ(at(message, {"tool_calls", "0", "function", "name"}), Json("get_weather"));
  const std::string arguments = at(message, {"tool_calls", "0", "function", "arguments"}).as_string();
  EXPECT_TRUE(at(parse(arguments), {"city"}).is_string()) << arguments;
  EXPECT_EQ(at(message, {"tool_calls", "1", "function", "arguments"}), Json("{}"));
  EXPECT_GT(at(whole, {"usage", "completion_tokens_details", "reasoning_tokens"}).as_int(), 0);

  const HttpReply reply =
      http(server.port(), "POST", "/v1/chat/completions", "{" + std::string(kQuestion) + R"(,"stream":true})");
  const std::vector<std::string> events = events_of(reply.body);
  std::string streamed[2];
  std::string reasoning;
  for (const std::string& event : events) {
    if (event == "[DONE]") continue;
    const Json delta = at(parse(event), {"choices", "0", "delta"});
    if (const Json piece = at(delta, {"reasoning_content"}); piece.is_string()) reasoning += piece.as_string();
    if (const Json piece = at(delta, {"tool_calls", "0", "function", "arguments"}); piece.is_string()) {
      streamed[at(delta, {"tool_calls", "0", "index"}).as_int()] += piece.as_string();
    }
  }
  EXPECT_EQ(streamed[0], arguments);
  EXPECT_EQ(streamed[1], "{}");
  EXPECT_EQ(reasoning, "Hm.");
  ASSERT_GE(events.size(), 2U);
  EXPECT_EQ(at(parse(events[events.size() - 2]), {"choices", "0", "finish_reason"}), Json("tool_calls"));
}

TEST(Tools, ACallThatIsForcedIsHeldToItsSchema) {
  const std::string tools = R"("messages":[{"role":"user","content":"Oslo?"}],"max_tokens":300,"temperature":1,
    "tools":[{"type":"function","function":{"name":"get_weather","strict":true,"parameters":{"type":"object",
      "properties":{"city":{"enum":["Oslo","Bergen"]},"days":{"type":"integer","minimum":1,"maximum":9}},
      "required":["city","days"],"additionalProperties":false}}},
      {"type":"function","function":{"name":"now","strict":true,"parameters":{"type":"object","properties":{},
      "additionalProperties":false}}}],)";
  for (const char* format : {"hermes", "llama3_json", "mistral"}) {
    Server server({"--tool-call-parser", format});
    for (const bool named : {false, true}) {
      const std::string choice = named ? R"({"type":"function","function":{"name":"get_weather"}})" : "\"required\"";
      const Json answer =
          server.post("/v1/chat/completions",
                      "{" + tools + R"("seed":5,"parallel_tool_calls":false,"tool_choice":)" + choice + "}");
      EXPECT_EQ(at(answer, {"choices", "0", "finish_reason"}), Json(named ? "stop" : "tool_calls")) << format;
      EXPECT_EQ(at(answer, {"choices", "0", "message", "content"}), Json()) << format;
      const Json calls = at(answer, {"choices", "0", "message", "tool_calls"});
      ASSERT_TRUE(calls.is_array()) << format << dump_json(answer);
      ASSERT_EQ(calls.as_array().size(), 1U);
      const Json name = at(calls, {"0", "function", "name"});
      const Json arguments = parse(at(calls, {"0", "function", "arguments"}).as_string());
      EXPECT_TRUE(name == Json("get_weather") || (!named && name == Json("now")));
      if (name == Json("get_weather")) {
        EXPECT_TRUE(at(arguments, {"city"}) == Json("Oslo") || at(arguments, {"city"}) == Json("Bergen"));
        EXPECT_TRUE(at(arguments, {"days"}).is_int()) << dump_json(arguments);
      }
    }
  }
}

// A small model one of whose special tokens is this mark.
std::string model_with_special(const std::string& mark) {
  const std::filesystem::path folder = testing::TempDir() + "model-with-special-" + std::to_string(getpid());
  std::filesystem::copy(fixture("models/llama"), folder, std::filesystem::copy_options::recursive);
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
    std::stringstream text;
    text << std::ifstream(folder / name).rdbuf();
    std::string changed = text.str();
    const std::string unused = "<|pad|>";
    for (std::size_t found = 0; (found = changed.find(unused, found)) != std::string::npos;) {
      changed.replace(found, unused.size(), mark);
    }
    std::filesystem::permissions(folder / name, std::filesystem::perms::owner_write,
                                 std::filesystem::perm_options::add);
    std::ofstream(folder / name) << changed;
  }
  return folder;
}

TEST(Tools, CallsBehindASpecialTokenAreHeldToTheirSchemas) {
  const std::string model = model_with_special("[TOOL_CALLS]");
  const std::string id = "4";  // of that token, which nothing but a bias leads this model to
  const std::string tools = R"({"messages":[{"role":"user","content":"Oslo?"}],"max_tokens":200,"seed":4,
    "logit_bias":{")" + id + R"(":20},"tools":[{"type":"function","function":{"name":"go","strict":true,"parameters":
    {"type":"object","properties":{"days":{"enum":[7]}},"required":["days"],"additionalProperties":false}}}])";
  {
    const Server server({"--tool-call-parser", "mistral"}, longship({}), model);
    for (const char* choice : {"\"auto\"", "\"required\""}) {
      const Json answer = server.post("/v1/chat/completions", tools + R"(,"parallel_tool_calls":false,"tool_choice":)" +
                                                                  choice + R"(,"return_token_ids":true})");
      const Json calls = at(answer, {"choices", "0", "message", "tool_calls"});
      ASSERT_TRUE(calls.is_array()) << dump_json(answer);
      EXPECT_EQ(at(calls, {"0", "function", "name"}), Json("go"));
      EXPECT_EQ(at(parse(at(calls, {"0", "function", "arguments"}).as_string()), {"days"}), Json(7));
      EXPECT_EQ(at(answer, {"choices", "0", "token_ids", "0"}), Json(4));
    }
  }
  std::filesystem::remove_all(model);
}

TEST(Tools, AnUnknownFormatIsRefusedWithThoseThatAreKnown) {
  const Outcome outcome = run(longship({"serve", served_model(), "--port", "0", "--tool-call-parser", "pigeon"}));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("hermes"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace longship
