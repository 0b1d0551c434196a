// The page for people, as a browser fetches it.
#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "tests/e2e/http_client.h"
#include "tests/e2e/server.h"

namespace longship {
namespace {

std::string header(const HttpReply& reply, const std::string& name) {
  std::smatch found;
  const std::regex line("\r\n" + name + ": ([^\r]*)", std::regex::icase);
  return std::regex_search(reply.head, found, line) ? found[1].str() : std::string();
}

// Paths of this server that a text names.
std::set<std::string> paths_in(const std::string& text) {
  std::set<std::string> paths;
  const std::regex own(R"((?:["'](/web/[^"']+)["'])|(?:from '\./([^']+)'))");
  for (std::sregex_iterator found(text.begin(), text.end(), own); found != std::sregex_iterator(); ++found) {
    paths.insert((*found)[1].matched ? (*found)[1].str() : "/web/" + (*found)[2].str());
  }
  return paths;
}

TEST(Web, ServesAPageThatNeedsNothingFromElsewhere) {
  const std::string kKey = "Authorization: Basic OnNlY3JldA==\r\n";  // ":secret"
  const Server server({"--api-key", "secret"});
  const std::map<std::string, std::string> types = {{"/", "text/html; charset=utf-8"},
                                                    {"html", "text/html; charset=utf-8"},
                                                    {"css", "text/css; charset=utf-8"},
                                                    {"js", "text/javascript; charset=utf-8"},
                                                    {"svg", "image/svg+xml"}};
  std::set<std::string> known = {"/"};
  std::vector<std::string> unread = {"/"};
  std::size_t bytes = 0;
  while (!unread.empty()) {
    const std::string path = unread.back();
    unread.pop_back();
    EXPECT_EQ(http(server.port(), "GET", path).status, 401) << path;
    const HttpReply reply = http(server.port(), "GET", path, "", kKey);
    ASSERT_EQ(reply.status, 200) << path;
    EXPECT_EQ(header(reply, "Content-Type"), types.at(path == "/" ? path : path.substr(path.rfind('.') + 1))) << path;
    EXPECT_EQ(header(reply, "Content-Security-Policy"),
              "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
              "base-uri 'none'; frame-ancestors 'none'; form-action 'none'");
    EXPECT_EQ(header(reply, "X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(header(reply, "Referrer-Policy"), "no-referrer");
    EXPECT_EQ(header(reply, "Cache-Control"), "no-cache");
    EXPECT_FALSE(std::regex_search(reply.body, std::regex(R"((src|href|url|import)\W{1,3}https?:)"))) << path;
    EXPECT_EQ(reply.body.find("innerHTML"), std::string::npos) << path;
    EXPECT_EQ(http(server.port(), "GET", path, "", kKey + "If-None-Match: " + header(reply, "ETag") + "\r\n").status,
              304);
    EXPECT_EQ(http(server.port(), "GET", path, "", kKey + "If-None-Match: \"other\"\r\n").status, 200);
    bytes += reply.body.size();
    for (const std::string& next : paths_in(reply.body)) {
      if (known.insert(next).second) unread.push_back(next);
    }
  }
  EXPECT_GT(known.size(), 20U);
  EXPECT_LE(bytes, 300U << 10U);
}

TEST(Web, OtherPathsAreNotFiles) {
  const Server server;
  for (const char* path : {"/web/", "/web/nothing.js", "/web/../web/main.js", "/index.html", "/web/index.htm"}) {
    EXPECT_EQ(http(server.port(), "GET", path).status, 404) << path;
  }
  HttpConnection connection(server.port());
  connection.send("HEAD / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
  const std::string head = connection.read_at_least(1 << 20U);
  EXPECT_EQ(head.substr(0, 15), "HTTP/1.1 200 OK");
  EXPECT_EQ(head.substr(head.size() - 4), "\r\n\r\n");
}

}  // namespace
}  // namespace longship
