#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace longship {

struct HttpReply {
  int status = 0;  ///< 0: the connection ended before an answer.
  std::string head;
  std::string body;  ///< Chunks joined.
};

/// A connection to 127.0.0.1 for tests: sends bytes as they are, reads what comes.
class HttpConnection {
 public:
  /// `receive_buffer_bytes` 0: as the system has it.
  explicit HttpConnection(uint16_t port, int receive_buffer_bytes = 0);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  void send(const std::string& bytes) const;
  /// Reads until `bytes` bytes are there or the connection ends or stalls for 30 s.
  std::string read_at_least(std::size_t bytes);
  /// What is there by now.
  std::string read_so_far();
  /// One whole answer; `on_chunk` hears of each chunk of it when it comes.
  HttpReply reply(const std::function<void(const std::string& chunk)>& on_chunk = {});

 private:
  bool read_more();

  int socket_;
  std::string received_;
};

std::string http_text(const std::string& method, const std::string& path, const std::string& body,
                      const std::string& headers = "");

/// One request on a connection of its own.
HttpReply http(uint16_t port, const std::string& method, const std::string& path, const std::string& body = "",
               const std::string& headers = "");

/// What stands behind "data: " in the events of a stream.
std::vector<std::string> events_of(const std::string& stream);

}  // namespace longship
