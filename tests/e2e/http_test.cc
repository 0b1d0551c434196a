// The server's HTTP: framing, limits and slow clients, byte by byte.
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <thread>

#include "tests/e2e/http_client.h"
#include "tests/e2e/server.h"

namespace longship {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kOk = R"({"status": "ok"})";

std::string post_head(const std::string& fields) {
  return "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n";
}

// Whether the server has closed, with nothing more to read.
bool ends(HttpConnection& connection) {
  return connection.read_at_least(1).empty();
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

TEST(Http, WhatIsNotOneMessageIsRefusedAndTheConnectionClosed) {
  const Server server({"--max-body", "1000"});
  std::string many;
  for (int i = 0; i < 100; ++i) many += "X-" + std::to_string(i) + ": a\r\n";
  const std::vector<std::pair<std::string, int>> requests = {
      {"nonsense\r\n\r\n", 400},
      {"GET /live HTTP/1.1\nHost: localhost\n\n", 400},
      {"GET /live HTTP/1.1\r\nAccept: a\r\n\r\n", 400},
      {"GET /live HTTP/3.0\r\nHost: localhost\r\n\r\n", 400},
      {"GET /live HTTP/1.1\r\nHost : localhost\r\n\r\n", 400},
      {post_head("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n", 400},
      {post_head("Content-Length: 2\r\nContent-Length: 2\r\n") + "{}", 400},
      {post_head("Content-Length: -2\r\n") + "{}", 400},
      {post_head("X-A: 1\r\n  folded\r\n"), 400},
      {post_head(std::string("X-A: \0\r\n", 8)), 400},
      {post_head("Transfer-Encoding: gzip\r\n"), 501},
      {post_head("Transfer-Encoding: chunked\r\n") + "zz\r\n", 400},
      {post_head("Transfer-Encoding: chunked\r\n") + "-1\r\n", 400},
      {post_head("Transfer-Encoding: chunked\r\n") + "fffffffffffffffff\r\n", 400},
      {post_head("Transfer-Encoding: chunked\r\n") + "2\r\n{}garbage", 400},
      {post_head("Transfer-Encoding: chunked\r\n") + "2;" + std::string(100000, 'x'), 400},
      {post_head("Expect: miracles\r\nContent-Length: 2\r\n"), 417},
      {post_head(many), 431},
      {post_head("X: " + std::string(20000, 'a') + "\r\n"), 431},
      {post_head("Content-Length: 1001\r\n"), 413},
      {post_head("Content-Length: 99999999999999999999\r\n"), 400},
      {post_head("Transfer-Encoding: chunked\r\n") + "200\r\n" + std::string(512, ' ') + "\r\n200\r\n" +
           std::string(512, ' ') + "\r\n",
       413},
  };
  for (const auto& [bytes, status] : requests) {
    HttpConnection connection(server.port());
    connection.send(bytes);
    const HttpReply reply = connection.reply();
    EXPECT_EQ(reply.status, status) << bytes.substr(0, 200) << "\n" << reply.body;
    EXPECT_NE(reply.head.find("Connection: close"), std::string::npos) << reply.head;
    EXPECT_TRUE(ends(connection)) << bytes.substr(0, 200);
  }
  EXPECT_EQ(http(server.port(), "GET", "/live").status, 200);
}

TEST(Http, RequestsMayComeInAnyPieces) {
  const Server server;
  HttpConnection slow(server.port());
  const std::string body = R"({"tokens":[1,2,3]})";
  for (const char byte : http_text("POST", "/detokenize", body)) {
    slow.send(std::string(1, byte));
  }
  const std::string text = slow.reply().body;
  EXPECT_NE(text.find("prompt"), std::string::npos);
  slow.send(
      "\r\nPOST /detokenize?a=b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
      "1;a=b\r\n{\r\n11\r\n" +
      body.substr(1) + "\r\n0\r\nX-Trailer: a\r\n\r\n");
  EXPECT_EQ(slow.reply().body, text);  // the same in chunks, on the same connection
  std::string many;
  for (int i = 0; i < 5; ++i) many += http_text("GET", i % 2 == 0 ? "/live" : "/version", "");
  slow.send(many + many);
  for (int i = 0; i < 10; ++i) {
    const HttpReply reply = slow.reply();
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body == kOk, i % 5 % 2 == 0) << reply.body;
  }
}

TEST(Http, TargetsMayBeWholeAddresses) {
  const Server server;
  for (const char* target : {"http://localhost/live", "http://localhost:80/live?a=http://b/c", "/live?to=http://a/b"}) {
    EXPECT_EQ(http(server.port(), "GET", target).body, kOk) << target;
  }
  EXPECT_EQ(http(server.port(), "GET", "http://localhost?a=/live").status, 200) << "the page";
  EXPECT_NE(http(server.port(), "GET", "http://localhost?a=/live").body, kOk);
  EXPECT_EQ(http(server.port(), "GET", "http://stranger.example/live").status, 403) << "whatever its field says";
}

TEST(Http, AConnectionEndsAfterTenThousandRequests) {
  const Server server;
  HttpConnection client(server.port());
  std::thread sender([&] {
    const std::string request = http_text("GET", "/live", "");
    std::string hundred;
    for (int i = 0; i < 100; ++i) hundred += request;
    for (int i = 0; i < 101; ++i) client.send(hundred);
  });
  int answers = 0;
  bool closing = false;
  for (HttpReply reply = client.reply(); reply.status == 200; reply = client.reply()) {
    ++answers;
    closing = reply.head.find("Connection: close") != std::string::npos;
  }
  sender.join();
  EXPECT_EQ(answers, 10000);
  EXPECT_TRUE(closing);
}

TEST(Http, ExpectationsAreMetBeforeTheBody) {
  const Server server({"--max-body", "1000"});
  HttpConnection client(server.port());
  client.send("POST /detokenize HTTP/1.1\r\nHost: localhost\r\nExpect: 100-Continue\r\nContent-Length: 14\r\n\r\n");
  const std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";
  EXPECT_EQ(client.read_at_least(go_on.size()), go_on);
  client.send(R"({"tokens":[1]})");
  EXPECT_EQ(client.reply().status, 100);
  EXPECT_EQ(client.reply().status, 200);
  client.send("POST /detokenize HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2000\r\n\r\n");
  EXPECT_EQ(client.reply().status, 413);  // and no invitation
}

TEST(Http, HeadAndTheOlderVersion) {
  const Server server;
  HttpConnection client(server.port());
  client.send(
      "HEAD /live HTTP/1.1\r\nHost: localhost\r\n\r\nGET /live HTTP/1.1\r\nHost: localhost\r\nConnection: "
      "close\r\n\r\n");
  const std::string length = "Content-Length: " + std::to_string(std::string(kOk).size()) + "\r\n\r\n";
  const std::string both = client.read_at_least(1 << 20);  // to the end
  const auto first = both.find(length);
  ASSERT_NE(first, std::string::npos) << both;
  EXPECT_EQ(both.compare(first + length.size(), 9, "HTTP/1.1 "), 0) << both;  // no body before the second answer

  HttpConnection old(server.port());
  old.send("GET /live HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old.reply().body, kOk);
  EXPECT_TRUE(ends(old));
  HttpConnection older(server.port());
  older.send("GET /live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(older.reply().body, kOk);
  older.send(
      "POST /v1/completions HTTP/1.0\r\nContent-Length: 51\r\n\r\n"
      R"({"prompt":"a","max_tokens":2,"stream":true,"n": 1 })");
  const std::string stream = older.read_at_least(1 << 20);  // to the end: this version has no chunks
  EXPECT_EQ(stream.find("Transfer-Encoding"), std::string::npos);
  EXPECT_NE(stream.find("\r\n\r\ndata: {"), std::string::npos) << stream;
  EXPECT_TRUE(stream.ends_with("data: [DONE]\n\n")) << stream;
}

TEST(Http, SlowClientsAreLetGo) {
  const Server server({"--header-timeout", "1", "--body-timeout", "1", "--keep-alive-timeout", "1"});
  const auto trickle = [&](HttpConnection& client, const char* byte) {
    const Clock::time_point start = Clock::now();
    while (client.read_so_far().empty() && seconds_since(start) < 10) {
      client.send(byte);
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return seconds_since(start);
  };
  HttpConnection silent(server.port());
  HttpConnection header(server.port());
  header.send("GET /live HTTP/1.1\r\nX: ");
  EXPECT_LT(trickle(header, "a"), 3);
  EXPECT_EQ(header.reply().status, 408);
  EXPECT_TRUE(ends(silent));  // it asked for nothing and is told nothing
  HttpConnection body(server.port());
  body.send(post_head("Content-Length: 100000\r\n"));
  EXPECT_LT(trickle(body, "a"), 3);  // never idle, but far below 1 KiB/s
  EXPECT_EQ(body.reply().status, 408);
  HttpConnection stopped(server.port());
  stopped.send(post_head("Content-Length: 100000\r\n"));
  EXPECT_EQ(stopped.reply().status, 408);
  HttpConnection kept(server.port());
  kept.send(http_text("GET", "/live", ""));
  EXPECT_EQ(kept.reply().status, 200);
  const Clock::time_point answered = Clock::now();
  EXPECT_TRUE(ends(kept));
  EXPECT_LT(seconds_since(answered), 3);
}

TEST(Http, ConnectionsHaveALimit) {
  const Server server({}, {"prlimit", "--nofile=140:140", program_path()});  // 80 % of 100: 80 connections
  std::vector<std::unique_ptr<HttpConnection>> idle;
  for (int i = 0; i < 80; ++i) {
    idle.push_back(std::make_unique<HttpConnection>(server.port()));
    idle.back()->send(http_text("GET", "/live", ""));
    ASSERT_EQ(idle.back()->reply().status, 200) << i;
  }
  HttpConnection late(server.port());
  const HttpReply reply = late.reply();
  EXPECT_EQ(reply.status, 503);
  EXPECT_NE(reply.head.find("Retry-After: "), std::string::npos);
  idle.pop_back();
  const auto deadline = Clock::now() + std::chrono::seconds(5);
  int status = 0;
  while ((status = http(server.port(), "GET", "/live").status) != 200 && Clock::now() < deadline) {
  }
  EXPECT_EQ(status, 200);
}

// A body of this size, and what grammars cost, would hold up a server that reads them between two steps.
TEST(Http, HugeBodiesAndHostileSchemasHoldUpNobody) {
  const Server server;
  std::string numbers = "0";
  while (numbers.size() < (std::size_t{15} << 20U)) numbers += ",0";
  const std::string huge = R"({"prompt":"a","temperature":"hot","stop_token_ids":[)" + numbers + "]}";
  const std::string hostile = R"({"prompt":"a","guided_json":{"type":"string","pattern":"^((a{1,99}){1,99}){1,99}$"}})";
  std::vector<std::future<int>> asked;
  for (const std::string* body : {&huge, &hostile, &huge, &hostile}) {
    asked.push_back(std::async(std::launch::async,
                               [&, body] { return http(server.port(), "POST", "/v1/completions", *body).status; }));
  }
  const auto busy = [&] {
    return std::any_of(asked.begin(), asked.end(), [](const std::future<int>& answer) {
      return answer.wait_for(std::chrono::seconds(0)) != std::future_status::ready;
    });
  };
  std::vector<std::chrono::duration<double>> waits;
  while (busy()) {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(http(server.port(), "GET", "/health").status, 200);
    waits.push_back(std::chrono::steady_clock::now() - begin);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  ASSERT_GT(waits.size(), 10U);
  std::sort(waits.begin(), waits.end());
  EXPECT_LT(waits[waits.size() / 2].count(), 0.05);
  EXPECT_LT(waits.back().count(), 0.7);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    EXPECT_EQ(asked[i].get(), i % 2 == 0 ? 400 : 200) << i;  // what is large is also wrong, what is hostile is not
  }
}

}  // namespace
}  // namespace longship
