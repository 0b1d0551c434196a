// The logprobs of prompts that a server tells, beside what `longship eval` says of the same text.
#include <gtest/gtest.h>

#include "tests/e2e/server.h"

namespace longship {
namespace {

// Several pages of keys and values, several steps of prompt positions.
std::string long_text() {
  std::string text;
  for (int i = 0; i < 20; ++i) text += "The ship " + std::to_string(i * i) + " sails. ";
  return text;
}

std::string quoted(const std::string& text) {
  return dump_json(Json(text));
}

double nll_of_eval(const std::string& text) {
  const Outcome outcome = run(longship({"eval", served_model(), "--jsonl", "-"}), "{\"text\":" + quoted(text) + "}\n");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  return at(parse(outcome.out), {"nll"}).as_double();
}

Json scores(const Server& server, const std::string& text) {
  return at(
      server.post("/v1/completions", "{\"prompt\":" + quoted(text) + R"(,"max_tokens":0,"echo":true,"logprobs":1})"),
      {"choices", "0", "logprobs"});
}

TEST(Scoring, IsThatOfEvalOnAnyMeshAndBehindAnyPrefix) {
  const std::string text = long_text();
  const Server one;
  // What is left of this in the cache must not shorten what is told.
  one.post("/v1/completions", "{\"prompt\":" + quoted(text) + R"(,"max_tokens":1})");
  const Json told = scores(one, text);
  const Json::Array& logprobs = at(told, {"token_logprobs"}).as_array();
  ASSERT_GT(logprobs.size(), 200U);
  EXPECT_TRUE(logprobs[0].is_null());
  double nll = 0;
  for (std::size_t i = 1; i < logprobs.size(); ++i) nll -= logprobs[i].as_double();
  EXPECT_NEAR(nll, nll_of_eval(text), 1e-6 * nll);  // each is rounded to float
  EXPECT_EQ(scores(one, text), told);
  EXPECT_EQ(scores(Server({"-tp", "2", "-pp", "2"}), text), told);
}

// Who scores a text asks for one token more, and leaves out the last logprob.
TEST(Scoring, CountsTheTokenThatEndsTheText) {
  const Server server;
  const std::string scored = R"({"prompt":"The ship sails.","max_tokens":0,"echo":true,"logprobs":1})";
  const std::string ended = R"({"prompt":"The ship sails.","max_tokens":5,"echo":true,"logprobs":1,
    "stop_token_ids":[7],"logit_bias":{"7":100},"return_token_ids":true})";
  const Json prompt = at(server.post("/v1/completions", scored), {"choices", "0", "logprobs"});
  const Json answer = server.post("/v1/completions", ended);
  EXPECT_EQ(at(answer, {"choices", "0", "stop_reason"}), Json(7));
  EXPECT_EQ(at(answer, {"choices", "0", "text"}), Json("The ship sails."));
  EXPECT_EQ(at(answer, {"usage", "completion_tokens"}), Json(1));
  EXPECT_EQ(at(answer, {"choices", "0", "token_ids"}), Json(Json::Array{7}));
  for (const char* list : {"tokens", "token_logprobs", "top_logprobs", "text_offset"}) {
    Json::Array all = at(answer, {"choices", "0", "logprobs", list}).as_array();
    all.pop_back();
    EXPECT_EQ(Json(all), at(prompt, {list})) << list;
  }
  EXPECT_EQ(server.metric("vllm:generation_tokens_total"), 1);
  EXPECT_EQ(server.metric("vllm:time_to_first_token_seconds_count"), 1);
}

}  // namespace
}  // namespace longship
