#include "launcher/server/http/http_head.h"

#include <gtest/gtest.h>

namespace longship {
namespace {

// The status that a complete head is refused with; 200 if it is not.
int status_of(const std::string& head) {
  const std::optional<HttpResponse> problem = head_problem(head, true, {});
  return problem ? problem->status : 200;
}

std::string with(const std::string& fields) {
  return "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n";
}

TEST(HttpHead, EndsAtTheEmptyLine) {
  EXPECT_EQ(head_bytes("GET / HTTP/1.1\r\nHost: a\r\n"), std::nullopt);
  EXPECT_EQ(head_bytes("GET / HTTP/1.1\r\n\r\nGET"), std::optional<std::size_t>(18));
}

TEST(HttpHead, UsualOnesPass) {
  EXPECT_EQ(status_of(with("")), 200);
  EXPECT_EQ(status_of(with("Content-Length: 12\r\nAccept: a,\tb\r\nX-Name: na\xc3\xafve\r\n")), 200);
  EXPECT_EQ(status_of(with("transfer-encoding:  Chunked \r\n")), 200);
  EXPECT_EQ(status_of("GET /live HTTP/1.0\r\n\r\n"), 200);
}

TEST(HttpHead, WhatTwoReadersMightReadDifferentlyIsRefused) {
  const std::pair<std::string, int> heads[] = {
      {with("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), 400},
      {with("Content-Length: 3\r\nContent-Length: 3\r\n"), 400},
      {with("Content-Length: 3\r\ncontent-length: 4\r\n"), 400},
      {with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400},
      {with("Content-Length: +3\r\n"), 400},
      {with("Content-Length: 3, 3\r\n"), 400},
      {with("Content-Length: 0x3\r\n"), 400},
      {with("Content-Length:\r\n"), 400},
      {with("Transfer-Encoding: gzip, chunked\r\n"), 501},
      {with("X-Folded: a\r\n b\r\n"), 400},
      {with("X-Folded: a\r\n\tb\r\n"), 400},
      {with("Host: elsewhere\r\n"), 400},
      {"GET / HTTP/1.1\r\nAccept: a\r\n\r\n", 400},
      {"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {with(std::string("X-Nul: a\0b\r\n", 12)), 400},
      {with("X-Bell: \a\r\n"), 400},
      {with("X-Delete: \x7f\r\n"), 400},
      {with("X-Bare: a\nY: b\r\n"), 400},
      {with("X-Return: a\rb\r\n"), 400},
  };
  for (const auto& [head, status] : heads) {
    EXPECT_EQ(status_of(head), status) << head;
  }
}

TEST(HttpHead, SizesHaveLimits) {
  std::string fields;
  for (int i = 0; i < 99; ++i) fields += "X-" + std::to_string(i) + ": a\r\n";
  EXPECT_EQ(status_of(with(fields)), 200);  // with Host there are 100
  EXPECT_EQ(status_of(with(fields + "X-100: a\r\n")), 431);
  EXPECT_EQ(status_of(with("X: " + std::string(16000, 'a') + "\r\n")), 200);
  EXPECT_EQ(status_of(with("X: " + std::string(16400, 'a') + "\r\n")), 431);
}

TEST(HttpHead, TheBeginningOfAHeadIsRefusedAsSoonAsItIsWrong) {
  EXPECT_FALSE(head_problem("GET / HT", false, {}));
  EXPECT_FALSE(head_problem("GET / HTTP/1.1\r", false, {}));
  EXPECT_TRUE(head_problem("GET / HTTP/1.1\n", false, {}));
  EXPECT_TRUE(head_problem(std::string(20000, 'a'), false, {}));
}

TEST(HttpHead, AClientsIdIsKeptIfItIsPlain) {
  EXPECT_EQ(request_id("my-id_7"), "my-id_7");
  for (const std::string& id : {std::string(), std::string("a b"), std::string("a\"b"), std::string(200, 'a')}) {
    EXPECT_TRUE(request_id(id).starts_with("req-")) << id;
  }
  EXPECT_NE(request_id(""), request_id(""));
}

}  // namespace
}  // namespace longship
