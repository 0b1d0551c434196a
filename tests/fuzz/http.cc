#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "launcher/server/http/http_server.h"
#include "tests/fuzz/targets.h"

namespace longship::fuzz {

namespace {

// Answers with what it got.
HttpServer& server() {
  static HttpServer server(
      "127.0.0.1", 0, {.header_bytes = 4096, .body_bytes = 4096},
      {.handle = [](const HttpRequest& request, const std::shared_ptr<HttpExchange>& exchange) {
        if (request.path == "/stream") {
          exchange->start_stream("text/plain");
          exchange->write(request.body + ".");
          exchange->finish();
        } else {
          exchange->respond({.status = 200, .body = request.path + request.body, .content_type = "text/plain"});
        }
      }});
  return server;
}

// All that comes in answer to `bytes`, behind which nothing more is sent.
std::string exchange_of(Input bytes) {
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server().port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  require(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0, "the server takes connections");
  send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  shutdown(client, SHUT_WR);
  std::string answer;
  char part[4096];
  pollfd readable{.fd = client, .events = POLLIN, .revents = 0};
  constexpr int kMostMilliseconds = 60000;  // a busy machine may take its time
  while (poll(&readable, 1, kMostMilliseconds) == 1) {
    const ssize_t count = recv(client, part, sizeof(part), 0);
    if (count <= 0) {
      close(client);
      return answer;
    }
    answer.append(part, static_cast<std::size_t>(count));
  }
  require(false, "a connection that its client has closed ends");
  return answer;
}

}  // namespace

void http(Input input) {
  const std::string answer = exchange_of(input);
  require(answer.empty() || answer.starts_with("HTTP/1.1 "), "an answer is one of HTTP");
  constexpr std::string_view kPlain = "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::string after = exchange_of(std::as_bytes(std::span(kPlain)));
  require(after.empty() || after.ends_with("\r\n\r\n/plain"), "the server serves others afterwards");
}

}  // namespace longship::fuzz
