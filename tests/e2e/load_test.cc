// Many clients of `longship serve` at once, and clients that misbehave.
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <random>
#include <thread>

#include "tests/e2e/http_client.h"
#include "tests/e2e/server.h"

namespace longship {
namespace {

using Clock = std::chrono::steady_clock;

std::string stream_request(int seed) {
  return http_text("POST", "/v1/completions",
                   R"({"prompt":"The ship )" + std::to_string(seed) +
                       R"(","max_tokens":12,"ignore_eos":true,"temperature":1,"stream":true,"seed":)" +
                       std::to_string(seed) + "}");
}

std::string text_of(const HttpReply& reply) {
  const std::vector<std::string> events = events_of(reply.body);
  if (events.empty() || events.back() != "[DONE]") return "no whole stream: " + reply.body;
  std::string text;
  for (std::size_t i = 0; i + 1 < events.size(); ++i)
    text += at(parse(events[i]), {"choices", "0", "text"}).as_string();
  return text;
}

TEST(Load, TwoHundredStreamsAreEachWhatTheyAreAlone) {
  constexpr int kStreams = 200;
  const Server server({"-tp", "2"});
  std::vector<std::unique_ptr<HttpConnection>> clients;
  for (int seed = 0; seed < kStreams; ++seed) {
    clients.push_back(std::make_unique<HttpConnection>(server.port()));
    clients.back()->send(stream_request(seed));
  }
  std::vector<std::string> texts;
  for (const auto& client : clients) texts.push_back(text_of(client->reply()));
  for (int seed = 0; seed < kStreams; seed += 7) {
    HttpConnection alone(server.port());
    alone.send(stream_request(seed));
    EXPECT_EQ(texts[static_cast<std::size_t>(seed)], text_of(alone.reply())) << "seed " << seed;
  }
  EXPECT_EQ(server.metric("longship:num_requests_running"), 0);
}

TEST(Load, AThousandClientsThatGoAnywhereLeaveNothing) {
  constexpr int kClients = 1000;
  const Server server;
  std::mt19937 random(1);
  const auto upto = [&](std::size_t most) { return std::uniform_int_distribution<std::size_t>(0, most)(random); };
  for (int i = 0; i < kClients; ++i) {
    const std::string request = stream_request(i);
    HttpConnection client(server.port());
    const bool whole = i % 2 == 0;  // the others go within their request
    client.send(whole ? request : request.substr(0, upto(request.size() - 1)));
    if (whole) client.read_at_least(upto(2000));
  }
  EXPECT_TRUE(server.wait_for_metric("longship:num_requests_running", 0));
  EXPECT_TRUE(server.wait_for_metric("longship:num_requests_waiting", 0));
  EXPECT_TRUE(server.wait_for_metric("longship:kv_cache_usage_perc", 0));
  HttpConnection after(server.port());
  after.send(stream_request(0));
  EXPECT_EQ(events_of(after.reply().body).back(), "[DONE]");
}

// The client takes nothing: what is sent to it fills the buffers of both kernels, then the limit of unsent bytes.
TEST(Load, AClientThatDoesNotReadIsLetGo) {
  const Server server;
  HttpConnection client(server.port(), 4096);
  client.send(http_text("POST", "/v1/completions",
                        R"({"prompt":"a","n":16,"max_tokens":15000,"ignore_eos":true,"temperature":1,"logprobs":20,)"
                        R"("return_tokens_as_token_ids":true,"stream":true})"));
  EXPECT_TRUE(server.wait_for_metric("longship:num_requests_running", 16));
  EXPECT_TRUE(server.wait_for_metric("longship:num_requests_running", 0));
  EXPECT_TRUE(server.wait_for_metric("longship:kv_cache_usage_perc", 0));
  EXPECT_NE(http(server.port(), "GET", "/metrics").body.find("finished_reason=\"abort\"} 16\n"), std::string::npos);
}

// A server that is told to end at once says so in the streams that are open.
TEST(Load, AStreamThatCannotGoOnEndsWithAnError) {
  Server server({"--drain-timeout", "0"});
  HttpConnection client(server.port());
  client.send(http_text("POST", "/v1/completions",
                        R"({"prompt":"a","max_tokens":15000,"ignore_eos":true,"temperature":1,"stream":true})"));
  EXPECT_TRUE(server.wait_for_metric("longship:num_requests_running", 1));
  EXPECT_EQ(server.stop().exit_code, 0);
  const std::vector<std::string> events = events_of(client.reply().body);
  ASSERT_GE(events.size(), 2U);
  const Json error = parse(events.back());
  EXPECT_FALSE(at(error, {"error", "message"}).as_string().empty());
  EXPECT_EQ(at(error, {"error", "type"}), Json("server_error"));
}

}  // namespace
}  // namespace longship
