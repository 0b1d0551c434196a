// Answers that a grammar holds, as clients see them.
#include <gtest/gtest.h>

#include <chrono>

#include "tests/e2e/http_client.h"
#include "tests/e2e/program.h"
#include "tests/e2e/server.h"

namespace longship {
namespace {

constexpr const char* kSchema =
    R"({"type":"object","properties":{"name":{"type":"string","maxLength":12},"age":{"type":"integer","minimum":0,)"
    R"("maximum":150},"kind":{"enum":["ship","boat"]},"tags":{"type":"array","items":{"type":"boolean"},"maxItems":2}},)"
    R"("required":["name","age","kind","tags"],"additionalProperties":false})";

std::string question(const std::string& more) {
  return R"({"messages":[{"role":"user","content":"A ship?"}],"temperature":1,"max_tokens":200,)" + more + "}";
}

std::string schema_format() {
  return R"("response_format":{"type":"json_schema","json_schema":{"name":"ship","strict":true,"schema":)" +
         std::string(kSchema) + "}}";
}

void expect_valid(const std::string& text) {
  const Json value = parse(text);
  ASSERT_TRUE(value.is_object()) << text;
  ASSERT_EQ(value.as_object().size(), 4U) << text;
  EXPECT_TRUE(at(value, {"name"}).is_string()) << text;
  EXPECT_TRUE(at(value, {"age"}).is_int()) << text;
  EXPECT_TRUE(at(value, {"kind"}) == Json("ship") || at(value, {"kind"}) == Json("boat")) << text;
  EXPECT_TRUE(at(value, {"tags"}).is_array()) << text;
}

TEST(GrammarServe, EveryAnswerIsOfItsSchema) {
  for (const std::vector<std::string>& mesh : {std::vector<std::string>{}, {"-tp", "2"}}) {
    const Server server(mesh);
    for (int seed = 0; seed < 6; ++seed) {
      const std::string more = schema_format() + R"(,"n":2,"seed":)" + std::to_string(seed);
      const Json answer = server.post("/v1/chat/completions", question(more));
      for (const char* choice : {"0", "1"}) {
        EXPECT_EQ(at(answer, {"choices", choice, "finish_reason"}), Json("stop"));
        expect_valid(at(answer, {"choices", choice, "message", "content"}).as_string());
      }
      const HttpReply reply = http(server.port(), "POST", "/v1/chat/completions", question(more + R"(,"stream":true)"));
      std::string streamed;
      for (const std::string& event : events_of(reply.body)) {
        if (event == "[DONE]") break;
        const Json json = parse(event);
        const Json content = at(json, {"choices", "0", "delta", "content"});
        if (at(json, {"choices", "0", "index"}) == Json(0) && content.is_string()) streamed += content.as_string();
      }
      EXPECT_EQ(streamed, at(answer, {"choices", "0", "message", "content"}).as_string());
    }
  }
}

TEST(GrammarServe, TakesTheFieldsOfOtherServers) {
  const Server server;
  const auto text = [&](const std::string& more) {
    const std::string body = R"({"prompt":"A","max_tokens":100,"temperature":1,"seed":1,)" + more + "}";
    return at(server.post("/v1/completions", body), {"choices", "0", "text"}).as_string();
  };
  for (const char* field :
       {R"("guided_choice":["yes","no"])", R"("structured_outputs":{"choice":["yes","no"]})",
        R"("guided_regex":"yes|no")", R"("structured_outputs":{"regex":"yes|no"})",
        R"("grammar":"root ::= \"yes\" | \"no\"")", R"("guided_grammar":"root ::= \"yes\" | \"no\"")"}) {
    const std::string answer = text(field);
    EXPECT_TRUE(answer == "yes" || answer == "no") << field << ": " << answer;
  }
  for (const std::string name : {R"("guided_json":)", R"("json_schema":)", R"("structured_outputs":{"json":)"}) {
    expect_valid(text(name + kSchema + (name.find('{') == std::string::npos ? "" : "}")));
  }
  expect_valid(text(R"("guided_json":)" + dump_json(Json(kSchema))));
  EXPECT_TRUE(text(R"("response_format":{"type":"json_object"})").starts_with("{"));
}

TEST(GrammarServe, RefusesBadAndHostileGrammarsAtOnce) {
  const Server server;
  std::string wide = R"("guided_json":{"enum":[)";
  for (int i = 0; i < 100000; ++i) wide += std::to_string(i) + ",";
  const std::vector<std::pair<std::string, const char*>> refusals = {
      {R"("response_format":{"type":"json_schema"})", "response_format.json_schema"},
      {R"("response_format":{"type":"xml"})", "response_format.type"},
      {R"("response_format":{"type":"json_schema","json_schema":{"schema":{"not":{}}}})",
       "response_format.json_schema.schema"},
      {R"("guided_json":{"$ref":"#"})", "guided_json"},
      {R"("structured_outputs":{"json":{"type":"array","contains":{}}})", "structured_outputs.json"},
      {R"("structured_outputs":{})", "structured_outputs"},
      {R"("guided_regex":"(a?){1,1000000}")", "guided_regex"},
      {R"-("guided_regex":"a(?=b)")-", "guided_regex"},
      {R"("grammar":"root ::= root")", "grammar"},
      {R"("guided_choice":[])", "guided_choice"},
      {R"("guided_regex":"a","guided_choice":["a"])", "guided_choice"},
      {wide + "1]}", "guided_json"},
  };
  for (const auto& [more, param] : refusals) {
    const auto start = std::chrono::steady_clock::now();
    const Json answer = server.post("/v1/completions", R"({"prompt":"a",)" + more + "}", 400);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    EXPECT_EQ(at(answer, {"error", "param"}), Json(param)) << more.substr(0, 80);
    EXPECT_LT(seconds.count(), 0.2) << more.substr(0, 80);
  }
}

// Contradictions that show while the answer is written are the client's mistake, which no second try mends.
TEST(GrammarServe, ARequestThatForbidsEveryTokenIsABadRequest) {
  const Server server;
  const std::string body = R"({"prompt":"A","max_tokens":9,"guided_regex":"[0-9]+","allowed_token_ids":[65])";
  const HttpReply reply = http(server.port(), "POST", "/v1/completions", body + "}");
  EXPECT_EQ(reply.status, 400) << reply.body;
  EXPECT_EQ(at(parse(reply.body), {"error", "type"}), Json("invalid_request_error"));
  const HttpReply stream = http(server.port(), "POST", "/v1/completions", body + R"(,"stream":true})");
  EXPECT_NE(stream.body.find("invalid_request_error"), std::string::npos) << stream.body;
}

TEST(GrammarRun, AnswersAreOfTheGrammar) {
  const std::vector<std::string> start = {"run", served_model(), "--raw", "-p", "The ship", "-n", "200", "--seed", "3"};
  const auto with = [&](std::vector<std::string> more) {
    std::vector<std::string> all = start;
    all.insert(all.end(), more.begin(), more.end());
    return run(longship(all));
  };
  const Outcome choice = with({"--grammar", "root ::= \"aye\" | \"nay\""});
  EXPECT_TRUE(choice.out == "aye\n" || choice.out == "nay\n") << choice.out << choice.err;
  const Outcome json = with({"--json-schema", kSchema, "-tp", "2"});
  expect_valid(json.out);
  const Outcome bad = with({"--grammar", "root ::= a"});
  EXPECT_EQ(bad.exit_code, 2);
  EXPECT_NE(bad.err.find("\"a\" is used and not defined"), std::string::npos) << bad.err;
}

}  // namespace
}  // namespace longship
