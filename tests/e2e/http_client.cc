#include "tests/e2e/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

namespace longship {

HttpConnection::HttpConnection(uint16_t port, int receive_buffer_bytes) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
  if (receive_buffer_bytes != 0) {
    setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof(receive_buffer_bytes));
  }
  const timeval limit{.tv_sec = 30, .tv_usec = 0};
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  [[maybe_unused]] const int connected = connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address));
}

HttpConnection::~HttpConnection() {
  close(socket_);
}

void HttpConnection::send(const std::string& bytes) const {
  [[maybe_unused]] const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

bool HttpConnection::read_more() {
  char bytes[65536];
  const ssize_t count = recv(socket_, bytes, sizeof(bytes), 0);
  if (count > 0) {
    received_.append(bytes, static_cast<std::size_t>(count));
  }
  return count > 0;
}

std::string HttpConnection::read_at_least(std::size_t bytes) {
  while (received_.size() < bytes && read_more()) {
  }
  return received_;
}

std::string HttpConnection::read_so_far() {
  char byte = 0;
  while (recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0 && read_more()) {
  }
  return received_;
}

HttpReply HttpConnection::reply(const std::function<void(const std::string& chunk)>& on_chunk) {
  std::size_t end = 0;
  while ((end = received_.find("\r\n\r\n")) == std::string::npos) {
    if (!read_more()) return {};
  }
  HttpReply reply;
  reply.head = received_.substr(0, end);
  reply.status = std::atoi(reply.head.c_str() + reply.head.find(' '));
  received_.erase(0, end + 4);
  if (reply.status < 200) return reply;
  const std::string length = "Content-Length: ";
  if (const auto at = reply.head.find(length); at != std::string::npos) {
    const auto size = static_cast<std::size_t>(std::atoll(reply.head.c_str() + at + length.size()));
    read_at_least(size);
    reply.body = received_.substr(0, size);
    received_.erase(0, size);
    return reply;
  }
  for (;;) {
    std::size_t line = 0;
    while ((line = received_.find("\r\n")) == std::string::npos) {
      if (!read_more()) return reply;
    }
    const std::size_t size = std::strtoull(received_.c_str(), nullptr, 16);
    read_at_least(line + 2 + size + 2);
    const std::string chunk = received_.substr(line + 2, size);
    if (on_chunk) on_chunk(chunk);
    reply.body += chunk;
    received_.erase(0, line + 2 + size + 2);
    if (size == 0) return reply;
  }
}

std::string http_text(const std::string& method, const std::string& path, const std::string& body,
                      const std::string& headers) {
  return method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

HttpReply http(uint16_t port, const std::string& method, const std::string& path, const std::string& body,
               const std::string& headers) {
  HttpConnection connection(port);
  connection.send(http_text(method, path, body, headers));
  return connection.reply();
}

std::vector<std::string> events_of(const std::string& stream) {
  std::vector<std::string> events;
  const std::string start = "data: ";
  for (std::size_t at = 0; at < stream.size();) {
    const std::size_t end = stream.find("\n\n", at);
    const std::string event = stream.substr(at, end - at);
    events.push_back(event.starts_with(start) ? event.substr(start.size()) : "not an event: " + event);
    at = end == std::string::npos ? stream.size() : end + 2;
  }
  return events;
}

}  // namespace longship
