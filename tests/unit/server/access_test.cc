#include "launcher/server/http/access.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "core/error.h"

namespace longship {
namespace {

namespace fs = std::filesystem;

HttpRequest request(const std::string& method, std::map<std::string, std::string> headers) {
  HttpRequest head;
  head.method = method;
  head.path = "/v1/models";
  head.headers = std::move(headers);
  return head;
}

// 200 for what is let in.
int status(const Admission& admission) {
  return admission.refusal ? admission.refusal->status : 200;
}

std::string header(const HttpHeaders& headers, const std::string& name) {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

TEST(Access, AKeyOpensAllRoutes) {
  const Access access({.keys = {"first", "second"}, .key_file = {}, .origins = {}, .hosts = {}});
  const auto with_key = [&](const std::string& value, Access::PathKind route = Access::PathKind::kProgram) {
    return status(access.admit(request("GET", {{"authorization", value}}), route));
  };
  EXPECT_EQ(with_key("Bearer first"), 200);
  EXPECT_EQ(with_key("bearer second"), 200);
  EXPECT_EQ(with_key("Bearer third"), 401);
  EXPECT_EQ(with_key("Bearer firs"), 401);
  EXPECT_EQ(with_key("Bearer first "), 401);
  EXPECT_EQ(with_key("first"), 401);
  EXPECT_EQ(with_key("Bearer "), 401);
  EXPECT_EQ(with_key(""), 401);
  EXPECT_EQ(with_key("", Access::PathKind::kOpen), 200);
}

// "any:first" and the like, as browsers send what people enter.
TEST(Access, AKeyIsThePasswordOfABrowser) {
  const Access access({.keys = {"first", "a:b"}, .key_file = {}, .origins = {}, .hosts = {}});
  const auto with = [&](const std::string& value) {
    return access.admit(request("GET", {{"authorization", value}}), Access::PathKind::kPage);
  };
  EXPECT_EQ(status(with("Basic YW55OmZpcnN0")), 200);
  EXPECT_EQ(status(with("basic OmZpcnN0")), 200);  // ":first"
  EXPECT_EQ(status(with("Basic eDphOmI=")), 200);  // "x:a:b"
  EXPECT_EQ(status(with("Basic Zmlyc3Q=")), 401);  // "first"
  EXPECT_EQ(status(with("Basic Zmlyc3Q6")), 401);  // "first:"
  EXPECT_EQ(status(with("Basic OmZpcnN")), 401);
  EXPECT_EQ(status(with("Basic ====")), 401);
  EXPECT_EQ(status(with("Basic \xff\xff\xff\xff")), 401);
  EXPECT_EQ(status(with("Basic ")), 401);
  const auto challenge = [](const Admission& admission) { return admission.refusal->headers.back().second; };
  EXPECT_TRUE(challenge(with("")).starts_with("Basic realm="));
  EXPECT_EQ(challenge(access.admit(request("GET", {}), Access::PathKind::kProgram)), "Bearer");
}

TEST(Access, WithoutKeysNoneIsAskedFor) {
  const Access access({.keys = {""}, .key_file = {}, .origins = {}, .hosts = {}});
  EXPECT_EQ(status(access.admit(request("GET", {}), Access::PathKind::kProgram)), 200);
}

TEST(Access, TheKeyFileIsReadAgain) {
  const fs::path file = fs::path(testing::TempDir()) / "access_test_keys";
  const auto write = [&](const std::string& text) { std::ofstream(file) << text; };
  write("one\n\n two \r\n");
  chmod(file.c_str(), 0600);
  Access access({.keys = {}, .key_file = file, .origins = {}, .hosts = {}});
  const auto allows = [&](const std::string& key) {
    return status(access.admit(request("GET", {{"authorization", "Bearer " + key}}), Access::PathKind::kProgram)) ==
           200;
  };
  EXPECT_TRUE(allows("one"));
  EXPECT_TRUE(allows(" two"));
  write("three\n");
  EXPECT_FALSE(allows("three"));
  access.reload();
  EXPECT_TRUE(allows("three"));
  EXPECT_FALSE(allows("one"));
  write("\n");
  EXPECT_THROW(access.reload(), Error);  // a server must not open by an empty file
  EXPECT_TRUE(allows("three"));
  fs::remove(file);
  EXPECT_THROW(access.reload(), Error);
  EXPECT_TRUE(allows("three"));
}

TEST(Access, OnlyKnownHostsAreAnswered) {
  const Access access({.keys = {}, .key_file = {}, .origins = {}, .hosts = {"localhost", "127.0.0.1", "[::1]"}});
  const auto of = [&](const std::string& host) {
    return status(access.admit(request("GET", {{"host", host}}), Access::PathKind::kOpen));
  };
  for (const char* host : {"localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]", "[::1]:8000"}) {
    EXPECT_EQ(of(host), 200) << host;
  }
  for (const char* host : {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8000", "[::2]:8000"}) {
    EXPECT_EQ(of(host), 403) << host;
  }
}

TEST(Access, PagesOfOtherOriginsAreKeptOutByDefault) {
  const Access access({.keys = {}, .key_file = {}, .origins = {}, .hosts = {}});
  const auto post = [&](const std::string& origin) {
    return access.admit(request("POST", {{"host", "localhost:8000"}, {"origin", origin}}), Access::PathKind::kProgram);
  };
  EXPECT_EQ(status(post("http://localhost:8000")), 200);  // its own page
  EXPECT_EQ(status(post("http://localhost:9000")), 403);
  EXPECT_EQ(status(post("https://evil.example")), 403);
  EXPECT_EQ(status(post("null")), 403);
  const Admission get = access.admit(request("GET", {{"origin", "https://evil.example"}}), Access::PathKind::kProgram);
  EXPECT_EQ(header(get.headers, "Access-Control-Allow-Origin"), "");
  const Admission options =
      access.admit(request("OPTIONS", {{"origin", "https://evil.example"}}), Access::PathKind::kProgram);
  EXPECT_EQ(status(options), 403);
}

TEST(Access, AllowedOriginsAreAnsweredAsBrowsersAsk) {
  const Access access({.keys = {"k"}, .key_file = {}, .origins = {"https://chat.example"}, .hosts = {}});
  const Admission ask = access.admit(request("OPTIONS", {{"origin", "https://chat.example"},
                                                         {"access-control-request-method", "POST"},
                                                         {"access-control-request-headers", "authorization,x-a"}}),
                                     Access::PathKind::kProgram);
  EXPECT_EQ(ask.refusal->status, 200);  // without a key: browsers send none here
  EXPECT_EQ(header(ask.headers, "Access-Control-Allow-Origin"), "https://chat.example");
  EXPECT_EQ(header(ask.headers, "Vary"), "Origin");
  EXPECT_EQ(header(ask.headers, "Access-Control-Allow-Credentials"), "");
  EXPECT_EQ(header(ask.refusal->headers, "Access-Control-Allow-Headers"), "authorization,x-a");
  const Admission wrong =
      access.admit(request("POST", {{"origin", "https://chat.example"}}), Access::PathKind::kProgram);
  EXPECT_EQ(status(wrong), 401);
  EXPECT_EQ(header(wrong.headers, "Access-Control-Allow-Origin"), "https://chat.example");  // so that pages can read it
  EXPECT_EQ(status(access.admit(request("POST", {{"origin", "https://other.example"}}), Access::PathKind::kProgram)),
            403);
}

TEST(Access, AStarAllowsAllOriginsWithoutCredentials) {
  const Access access({.keys = {}, .key_file = {}, .origins = {"*"}, .hosts = {}});
  const Admission post = access.admit(request("POST", {{"origin", "https://any.example"}}), Access::PathKind::kProgram);
  EXPECT_EQ(status(post), 200);
  EXPECT_EQ(header(post.headers, "Access-Control-Allow-Origin"), "*");
  EXPECT_EQ(header(post.headers, "Access-Control-Allow-Credentials"), "");
}

TEST(Access, UrlsAreThoseThatClientsTake) {
  EXPECT_EQ(url_of("127.0.0.1", 8000, false), "http://127.0.0.1:8000");
  EXPECT_EQ(url_of("0.0.0.0", 8000, true), "https://127.0.0.1:8000");
  EXPECT_EQ(url_of("::", 80, false), "http://127.0.0.1:80");
  EXPECT_EQ(url_of("::1", 8000, false), "http://[::1]:8000");
  EXPECT_EQ(url_of("node7.example", 443, true), "https://node7.example:443");
}

TEST(Access, LoopbackAddresses) {
  for (const char* host : {"127.0.0.1", "127.1.2.3", "localhost", "::1"}) EXPECT_TRUE(is_loopback(host)) << host;
  for (const char* host : {"0.0.0.0", "::", "10.0.0.1", "node1", "127.example.org"})
    EXPECT_FALSE(is_loopback(host)) << host;
}

}  // namespace
}  // namespace longship
